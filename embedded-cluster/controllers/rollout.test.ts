import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { proportionalScaling, rollingStep, rolloutBounds } from './rollout.ts';
import type { SetView } from './rollout.ts';

await it('rounds surge up and unavailability down, and never stands still', () => {
  assert.deepEqual(rolloutBounds(10), { maxSurge: 3, maxUnavailable: 2 });
  assert.deepEqual(rolloutBounds(1), { maxSurge: 1, maxUnavailable: 0 });
  assert.deepEqual(rolloutBounds(3, 0, 0), { maxSurge: 0, maxUnavailable: 1 });
  assert.deepEqual(rolloutBounds(2, '50%', 5), { maxSurge: 1, maxUnavailable: 2 });
});

/** Pods of a set: available ones and ones that still start. */
interface World {
  sets: Map<string, { replicas: number; available: number }>;
}

function viewOf(world: World, name: string): SetView {
  const set = world.sets.get(name) ?? { replicas: 0, available: 0 };
  return { name, ...set };
}

await it('never has too few available pods nor too many, whatever becomes available when, and gets there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 30 }),
      (replicas, surge, unavailable, readiness) => {
        const bounds = rolloutBounds(replicas, surge, unavailable);
        const world: World = {
          sets: new Map([
            ['old', { replicas, available: replicas }],
            ['new', { replicas: 0, available: 0 }],
          ]),
        };
        for (let turn = 0; turn < 200; turn += 1) {
          const step = rollingStep({
            replicas,
            ...bounds,
            current: viewOf(world, 'new'),
            old: [viewOf(world, 'old')],
          });
          for (const [name, size] of step) {
            const { available } = viewOf(world, name);
            world.sets.set(name, { replicas: size, available: Math.min(available, size) });
          }
          const all = [...world.sets.values()];
          const total = all.reduce((sum, set) => sum + set.replicas, 0);
          const available = all.reduce((sum, set) => sum + set.available, 0);
          assert.ok(total <= replicas + bounds.maxSurge, `${total} pods`);
          assert.ok(available >= replicas - bounds.maxUnavailable, `${available} available`);
          const fresh = viewOf(world, 'new');
          // Every few turns some of the new pods become available; sooner or later all do.
          const more = turn > 100 ? fresh.replicas : (readiness[turn % readiness.length] ?? 0);
          world.sets.set('new', {
            replicas: fresh.replicas,
            available: Math.min(fresh.replicas, fresh.available + more),
          });
        }
        assert.deepEqual(world.sets.get('new'), { replicas, available: replicas });
        assert.equal(world.sets.get('old')?.replicas, 0);
      },
    ),
  );
});

await it('takes pods that are not available first when it shrinks old sets', () => {
  const step = rollingStep({
    replicas: 4,
    maxSurge: 1,
    maxUnavailable: 1,
    current: { name: 'new', replicas: 1, available: 1 },
    old: [
      { name: 'broken', replicas: 2, available: 0 },
      { name: 'good', replicas: 2, available: 2 },
    ],
  });
  assert.deepEqual([...step], [['broken', 0]]);
});

await it('shares a change of size by the size of the sets, exactly', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 60 }),
      (sizes, allowed) => {
        const sets = sizes.map((replicas, i) => ({ name: `set-${i}`, replicas, available: replicas }));
        const scaling = proportionalScaling(sets, allowed);
        const total = sets.reduce((sum, set) => sum + (scaling.get(set.name) ?? set.replicas), 0);
        assert.equal(total, allowed);
      },
    ),
  );
});
