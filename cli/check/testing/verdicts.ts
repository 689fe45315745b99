import assert from 'node:assert/strict';
import type { ClusterAccess } from '../../cluster-access.ts';
import { UserError } from '../../errors.ts';
import type { Verdict } from '../check.ts';
import type { CheckOptions } from '../facts.ts';
import { checks } from '../registry.ts';
import { runChecks } from '../run.ts';

/** Options of a run against a cluster. */
export function optionsFor(cluster: ClusterAccess, more: Partial<CheckOptions> = {}): CheckOptions {
  return {
    meshNamespace: 'isthmus',
    open: () => Promise.resolve(cluster),
    openById: (context) => Promise.reject(new UserError(`context "${context}" is not in the kubeconfig`)),
    now: Date.now,
    ...more,
  };
}

/** What one check comes to, alone and without waiting. */
export async function verdictOf(id: string, options: CheckOptions): Promise<Verdict> {
  const check = checks.find((candidate) => candidate.id === id);
  assert.ok(check !== undefined, `there is no check "${id}"`);
  const { needs: _needs, ...alone } = check;
  const [result] = await runChecks([alone], { ...options, deadline: 0, onResult: () => undefined });
  assert.ok(result !== undefined);
  return result.verdict;
}

/** The check is well, then it is not: with that result, and a message in which all these stand. */
export async function fails(
  id: string,
  result: 'error' | 'warning',
  says: readonly RegExp[],
  run: { well: CheckOptions; unwell: () => Promise<CheckOptions> },
): Promise<void> {
  assert.deepEqual(await verdictOf(id, run.well), { result: 'success' });
  const verdict = await verdictOf(id, await run.unwell());
  const message = verdict.result === 'success' ? '' : verdict.message;
  for (const pattern of says) assert.match(message, pattern);
  assert.equal(verdict.result, result, message);
}
