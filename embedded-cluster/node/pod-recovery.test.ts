import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ContainerStatus, Pod } from '../../api/kubernetes-types.ts';
import { endBeforeStart, hasSucceeded } from './pod-recovery.ts';

type Policy = 'Always' | 'OnFailure' | 'Never';
/** `running`, `waiting`, or the exit code. */
type Shown = 'running' | 'waiting' | number;

function shown(state: Shown, i = 0): ContainerStatus {
  const base = { name: `c${i}`, image: 'i', imageID: '', restartCount: 0, ready: false };
  if (state === 'running') return { ...base, state: { running: {} } };
  if (state === 'waiting') return { ...base, state: { waiting: { reason: 'CrashLoopBackOff' } } };
  return { ...base, state: { terminated: { exitCode: state } } };
}

function pod(restartPolicy: Policy, states: Shown[], phase?: 'Failed'): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    spec: { containers: [], restartPolicy },
    status: { ...(phase === undefined ? {} : { phase }), containerStatuses: states.map(shown) },
  };
}

await it('lets a pod end that was done or may not run again, and run again what may', () => {
  const cases: [Policy, Shown[], string | undefined][] = [
    ['Always', [0, 1], undefined],
    ['Always', ['running'], undefined],
    ['OnFailure', [0, 0], 'Succeeded'],
    ['OnFailure', [0, 3], undefined],
    ['OnFailure', [0, 'running'], undefined],
    ['OnFailure', ['waiting'], undefined],
    ['OnFailure', [], undefined],
    ['Never', [0, 0], 'Succeeded'],
    ['Never', [0, 1], 'Failed'],
    ['Never', [0, 'running'], 'Failed'],
    ['Never', ['waiting'], undefined],
    ['Never', [], undefined],
  ];
  for (const [policy, states, phase] of cases)
    assert.equal(endBeforeStart(pod(policy, states))?.phase, phase, `${policy} ${states.join(' ')}`);
  assert.equal(endBeforeStart(pod('Always', ['running'], 'Failed'))?.phase, 'Failed');
});

await it('runs a container that has ended well again only where the policy is to run it always', () => {
  assert.equal(hasSucceeded(pod('OnFailure', []), shown(0)), true);
  assert.equal(hasSucceeded(pod('OnFailure', []), shown(1)), false);
  assert.equal(hasSucceeded(pod('OnFailure', []), shown('running')), false);
  assert.equal(hasSucceeded(pod('OnFailure', []), undefined), false);
  assert.equal(hasSucceeded(pod('Always', []), shown(0)), false);
});
