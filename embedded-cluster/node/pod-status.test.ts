import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ContainerStatus, Pod } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';
import { podStatus, qosClass } from './pod-status.ts';
import type { PodStatusInput } from './pod-status.ts';

const NOW = Date.UTC(2030, 0, 1);

function status(name: string, state: ContainerStatus['state'], ready = false): ContainerStatus {
  return { name, image: 'i', imageID: '', restartCount: 0, ready, ...(state === undefined ? {} : { state }) };
}
const running = (name: string, ready: boolean): ContainerStatus =>
  status(name, { running: { startedAt: metaTime(NOW) } }, ready);
const waiting = (name: string): ContainerStatus => status(name, { waiting: { reason: 'ContainerCreating' } });

function input(changes: Partial<PodStatusInput>, spec: Partial<Pod['spec']> = {}): PodStatusInput {
  return {
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
    },
    init: [],
    main: [running('a', true)],
    initialized: true,
    sandboxReady: true,
    podIp: '127.64.0.2',
    hostIp: '127.64.0.1',
    outcome: undefined,
    startTime: NOW,
    now: NOW,
    ...changes,
  };
}

/** Conditions as `type=status reason`. */
function conditions(from: PodStatusInput): string[] {
  return (podStatus(from).conditions ?? []).map((c) =>
    c.reason === undefined ? `${c.type}=${c.status}` : `${c.type}=${c.status} ${c.reason}`,
  );
}

await it('is Pending until every main container has run once, and Running while one may run again', () => {
  const phase = (changes: Partial<PodStatusInput>): string | undefined => podStatus(input(changes)).phase;
  assert.equal(phase({ main: [waiting('a')], initialized: false }), 'Pending');
  assert.equal(phase({ main: [waiting('a')] }), 'Pending');
  assert.equal(phase({ main: [running('a', false), waiting('b')] }), 'Pending');
  assert.equal(phase({}), 'Running');
  const crashed = status('a', { waiting: { reason: 'CrashLoopBackOff' } });
  crashed.lastState = { terminated: { exitCode: 1 } };
  assert.equal(phase({ main: [crashed] }), 'Running');
  assert.equal(phase({ outcome: { phase: 'Failed', reason: 'DeadlineExceeded' } }), 'Failed');
});

await it('is ready when all main containers, all sidecars and all readiness gates are', () => {
  const all = ['PodReadyToStartContainers=True', 'Initialized=True', 'Ready=True', 'ContainersReady=True'];
  assert.deepEqual(conditions(input({})), [...all, 'PodScheduled=True']);

  const side = { name: 'side', image: 'i', restartPolicy: 'Always' as const };
  const withSidecar = { initContainers: [side, { name: 'once', image: 'i' }] };
  const once = status('once', { terminated: { exitCode: 0 } }, true);
  const lame = input({ init: [running('side', false), once] }, withSidecar);
  assert.ok(conditions(lame).includes('Ready=False ContainersNotReady'));
  assert.match(
    podStatus(lame).conditions?.find((c) => c.type === 'Ready')?.message ?? '',
    /unready status: \[side\]/,
  );
  const fit = input({ init: [running('side', true), once] }, withSidecar);
  assert.ok(conditions(fit).includes('Ready=True'));

  const gated = input({}, { readinessGates: [{ conditionType: 'x/y' }] });
  assert.ok(conditions(gated).includes('Ready=False ReadinessGatesNotReady'));
  const foreign = { type: 'x/y', status: 'True' as const };
  gated.pod.status = { conditions: [foreign] };
  assert.ok(conditions(gated).includes('Ready=True'));
  assert.ok(podStatus(gated).conditions?.includes(foreign), 'the condition of another stays as it is');
});

await it('is not ready any more when it has ended, and initialised for ever when it has succeeded', () => {
  const ended = (phase: 'Succeeded' | 'Failed'): string[] =>
    conditions(input({ outcome: { phase }, main: [status('a', { terminated: { exitCode: 0 } })] }));
  assert.ok(ended('Succeeded').includes('Ready=False PodCompleted'));
  assert.ok(ended('Succeeded').includes('Initialized=True PodCompleted'));
  assert.ok(ended('Failed').includes('ContainersReady=False PodFailed'));
});

await it('moves the transition time of a condition only with its status, and never the start time', () => {
  const first = input({ main: [running('a', false)] });
  first.pod.status = podStatus(first);
  const second = input({ main: [running('a', true)], startTime: NOW + 5000, now: NOW + 5000 });
  second.pod.status = first.pod.status;
  const after = podStatus(second);
  const moved = after.conditions?.filter((c) => c.lastTransitionTime !== metaTime(NOW)).map((c) => c.type);
  assert.deepEqual(moved, ['Ready', 'ContainersReady']);
  assert.equal(after.startTime, metaTime(NOW));
});

await it('tells the classes of service apart', () => {
  const of = (...resources: (object | undefined)[]): string =>
    qosClass({
      apiVersion: 'v1',
      kind: 'Pod',
      spec: {
        containers: resources.map((r, i) => ({
          name: `c${i}`,
          ...(r === undefined ? {} : { resources: r }),
        })),
      },
    });
  const full = { limits: { cpu: '1', memory: '1Gi' } };
  assert.equal(of(undefined), 'BestEffort');
  assert.equal(of(full), 'Guaranteed');
  assert.equal(of({ ...full, requests: { cpu: '1' } }), 'Guaranteed');
  assert.equal(of({ ...full, requests: { cpu: '500m' } }), 'Burstable');
  assert.equal(of(full, undefined), 'Burstable');
});
