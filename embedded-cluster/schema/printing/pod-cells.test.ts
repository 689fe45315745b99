import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerStatus, Pod } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { humanDuration } from './age.ts';
import { podCells } from './pod-cells.ts';

const now = Date.parse('2026-01-01T01:00:00Z');

function status(fields: Partial<ContainerStatus>): ContainerStatus {
  return { name: 'c', ready: false, restartCount: 0, image: 'i', imageID: '', ...fields };
}

/** READY, STATUS and RESTARTS. */
function shown(pod: Pod): unknown[] {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    ...pod,
    metadata: { name: 'x', ...pod.metadata },
  } as StoredObject;
  return podCells(object, now).slice(1, 4);
}

const container = { name: 'c', image: 'i' };
const init = { name: 'i', image: 'i' };
const sidecar = { name: 's', image: 'i', restartPolicy: 'Always' as const };
const running = { running: { startedAt: '2026-01-01T00:00:00Z' } };
const runningContainer = status({ ready: true, state: running });

test('a pod that runs', () => {
  assert.deepEqual(
    shown({
      spec: { containers: [container] },
      status: { phase: 'Running', containerStatuses: [runningContainer] },
    }),
    ['1/1', 'Running', '0'],
  );
});

test('waiting, ended and restarted containers', () => {
  const one = (
    containerStatus: ContainerStatus,
    phase: 'Running' | 'Failed' | 'Succeeded' = 'Running',
  ): unknown[] =>
    shown({ spec: { containers: [container] }, status: { phase, containerStatuses: [containerStatus] } });
  assert.deepEqual(
    one(
      status({
        restartCount: 3,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:58:30Z' } },
      }),
    ),
    ['0/1', 'CrashLoopBackOff', '3 (90s ago)'],
  );
  assert.deepEqual(
    one(status({ state: { terminated: { exitCode: 0, reason: 'Completed' } } }), 'Succeeded'),
    ['0/1', 'Completed', '0'],
  );
  assert.deepEqual(one(status({ state: { terminated: { exitCode: 3 } } }), 'Failed'), [
    '0/1',
    'ExitCode:3',
    '0',
  ]);
  assert.deepEqual(one(status({ state: { terminated: { exitCode: 137, signal: 9 } } }), 'Failed'), [
    '0/1',
    'Signal:9',
    '0',
  ]);
});

test('init containers come first, sidecars count as containers', () => {
  const spec = { containers: [container], initContainers: [init, sidecar] };
  const pending = (initContainerStatuses: ContainerStatus[]): unknown[] =>
    shown({ spec, status: { phase: 'Pending', initContainerStatuses } });
  assert.deepEqual(pending([status({ name: 'i', state: running })]), ['0/2', 'Init:0/2', '0']);
  assert.deepEqual(pending([status({ name: 'i', state: { terminated: { exitCode: 2 } } })]), [
    '0/2',
    'Init:ExitCode:2',
    '0',
  ]);
  assert.deepEqual(pending([status({ name: 'i', state: { waiting: { reason: 'CrashLoopBackOff' } } })]), [
    '0/2',
    'Init:CrashLoopBackOff',
    '0',
  ]);
  const done = status({ name: 'i', state: { terminated: { exitCode: 0, reason: 'Completed' } } });
  assert.deepEqual(pending([done, status({ name: 's', started: false, state: running })]), [
    '0/2',
    'Init:1/2',
    '0',
  ]);
  assert.deepEqual(
    shown({
      spec,
      status: {
        phase: 'Running',
        initContainerStatuses: [
          done,
          status({ name: 's', started: true, ready: true, restartCount: 1, state: running }),
        ],
        containerStatuses: [runningContainer],
      },
    }),
    ['2/2', 'Running', '1'],
  );
});

test('a pod that goes', () => {
  const metadata = { deletionTimestamp: '2026-01-01T00:59:00Z' };
  const spec = { containers: [container] };
  assert.equal(shown({ metadata, spec, status: { phase: 'Running' } })[1], 'Terminating');
  assert.equal(shown({ metadata, spec, status: { phase: 'Running', reason: 'NodeLost' } })[1], 'Unknown');
  assert.equal(shown({ metadata, spec, status: { phase: 'Succeeded' } })[1], 'Succeeded');
  assert.equal(shown({ spec, status: { phase: 'Failed', reason: 'Evicted' } })[1], 'Evicted');
});

test('lengths of time become coarser as they grow', () => {
  const second = 1000;
  const hour = 3600 * second;
  const cases: [milliseconds: number, text: string][] = [
    [-5 * second, '<invalid>'],
    [-second, '0s'],
    [119 * second, '119s'],
    [120 * second, '2m'],
    [125 * second, '2m5s'],
    [10 * 60 * second, '10m'],
    [179 * 60 * second, '179m'],
    [3 * hour, '3h'],
    [7.5 * hour, '7h30m'],
    [47 * hour, '47h'],
    [50 * hour, '2d2h'],
    [24 * 30 * hour, '30d'],
    [24 * 365 * 3 * hour, '3y'],
  ];
  for (const [milliseconds, text] of cases) assert.equal(humanDuration(milliseconds), text);
});
