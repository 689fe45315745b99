import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { Plan, type PlannedBackend } from './plan.ts';

const EVERYBODY = { isAvailable: () => true };

function backend(path: string, weight: number): PlannedBackend {
  return { path, filters: undefined, weight };
}

/** How often each is chosen when the random number goes evenly through all of its values. */
function shares(
  plan: Plan,
  pool: { isAvailable(path: string | undefined): boolean },
  steps: number,
): Record<string, number> {
  const chosen: Record<string, number> = {};
  for (let i = 0; i < steps; i++) {
    const path = plan.choose(pool, () => (i + 0.5) / steps)?.path ?? '';
    chosen[path] = (chosen[path] ?? 0) + 1;
  }
  return chosen;
}

const weights = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 6 });

test('each backend gets exactly its share', () => {
  fc.assert(
    fc.property(weights, (given) => {
      const plan = new Plan(
        undefined,
        given.map((weight, i) => backend(String(i), weight)),
        false,
      );
      const total = given.reduce((a, b) => a + b, 0);
      const chosen = shares(plan, EVERYBODY, total);
      for (const [i, weight] of given.entries()) assert.equal(chosen[String(i)] ?? 0, weight);
    }),
  );
});

test('who is not available gets nothing while somebody else is; with nobody each keeps its share', () => {
  fc.assert(
    fc.property(weights, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (given, up) => {
      const plan = new Plan(
        undefined,
        given.map((weight, i) => backend(String(i), weight)),
        false,
      );
      const pool = { isAvailable: (path: string | undefined) => up[Number(path)] === true };
      const chosen = shares(plan, pool, 50);
      const someoneIsUp = given.some((weight, i) => weight > 0 && up[i] === true);
      for (const path of Object.keys(chosen)) {
        if (path === '') assert.ok(given.every((weight) => weight === 0));
        else assert.ok((given[Number(path)] ?? 0) > 0 && (!someoneIsUp || up[Number(path)] === true));
      }
    }),
  );
});

test('in order, the first that is available takes all; without any the first', () => {
  const plan = new Plan(undefined, [backend('a', 1), backend('b', 1)], true);
  assert.equal(plan.choose(EVERYBODY, Math.random)?.path, 'a');
  assert.equal(plan.choose({ isAvailable: (path) => path === 'b' }, Math.random)?.path, 'b');
  assert.equal(plan.choose({ isAvailable: () => false }, Math.random)?.path, 'a');
});
