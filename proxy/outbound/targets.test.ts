import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import { causes } from '../errors.ts';
import { InFlight } from '../in-flight.ts';
import { Exchange } from '../message/message.ts';
import { ControlMetrics } from '../telemetry/control-metrics.ts';
import { HttpMetrics } from '../telemetry/http-metrics.ts';
import { MAX_SERIES, Registry, RETAIN_IDLE_MS } from '../telemetry/registry.ts';
import { RouteMetrics } from '../telemetry/route-metrics.ts';
import { FakeControlPlane } from '../testing/mesh/fake-control-plane.ts';
import { testLog } from '../testing/mesh/test-mesh.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { MAX_TARGETS, TARGET_IDLE_MS, Targets } from './targets.ts';
import type { Target, TargetOptions } from './target.ts';

const NOWHERE: Upstream = { take: () => undefined, wait() {}, cancel() {}, reach: () => () => {} };
const LOOK_MS = 5_000;
/** Of one target: its profile, its endpoints, its policy. */
const STREAMS = 3;

function harness() {
  let now = 0;
  const clock = new ManualClock(0);
  const timers = new TimerWheel(() => now, 100);
  const controlPlane = new FakeControlPlane();
  const registry = new Registry();
  const held = new Set<string>();
  const metrics = new ControlMetrics(registry, () => now);
  const asking = { channel: controlPlane.channel(), contextToken: '{}', clock, random: () => 0.5 };
  const options: TargetOptions = {
    discovery: { ...asking, metrics: metrics.cells('destination') },
    policy: { ...asking, metrics: metrics.cells('policy') },
    routes: new RouteMetrics(registry),
    deadlines: timers,
    peers: {
      acquire: ({ key }) => {
        held.add(key);
        return NOWHERE;
      },
      release: ({ key }) => void held.delete(key),
      relabelled() {},
    },
    http: new HttpMetrics(registry),
    endpoints: registry.gauge('endpoints', 'endpoints'),
    timers,
    clock,
    now: () => now,
    random: () => 0.5,
    failFastMs: 3_000,
    inFlight: new InFlight(1_000),
    beyond: { kind: 'refuse' },
    opaquePorts: new Set(),
    throughGateways: true,
    log: testLog,
  };
  const targets = new Targets(options);
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += LOOK_MS) {
      now += LOOK_MS;
      timers.tick();
      registry.sweep(now);
    }
  };
  return { targets, controlPlane, registry, held, pass };
}

function ask(targets: Targets, controlPlane: FakeControlPlane, n: number): Target[] {
  return Array.from({ length: n }, (_, i) => {
    controlPlane.setService(`s${i}.shop:80`, [{ address: `10.0.${i >> 8}.${i & 255}`, port: 80 }]);
    const target = targets.get(`s${i}.shop:80`);
    assert.ok(target !== undefined);
    return target;
  });
}

/** A request to each, whose client leaves at once. */
function request(of: readonly Target[]): void {
  for (const { stack } of of) {
    const x = new Exchange(NOBODY);
    stack.requestHead(x, requestHead(), true);
    stack.requestReset(x, causes.clientGone);
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await nextTurn();
}

test('a thousand targets: idle ones give back streams and connections, their series go, and they come back', async () => {
  const { targets, controlPlane, registry, held, pass } = harness();
  const all = ask(targets, controlPlane, 1_000);
  await settle();
  assert.equal(held.size, 0, 'nobody has asked for an endpoint');
  request(all);
  assert.deepEqual([controlPlane.streams, held.size], [STREAMS * 1_000, 1_000]);
  const series = (): number => registry.families.find(({ name }) => name === 'endpoints')?.size ?? 0;
  assert.equal(series(), MAX_SERIES);
  pass(TARGET_IDLE_MS + LOOK_MS);
  assert.deepEqual([controlPlane.streams, held.size], [0, 0]);
  pass(RETAIN_IDLE_MS + LOOK_MS);
  assert.equal(series(), 0);
  assert.ok(targets.get('s7.shop:80') !== undefined);
  await settle();
  request(all.slice(7, 8));
  assert.deepEqual([controlPlane.streams, held.size], [STREAMS, 1]);
  // A series that was dropped comes back with the next sweep.
  pass(LOOK_MS);
  assert.equal(series(), 2);
  targets.close();
});

test('more names than may be known: the least recently used idle one is forgotten', async () => {
  const { targets, controlPlane, held } = harness();
  const all = ask(targets, controlPlane, MAX_TARGETS + 10);
  await settle();
  request(all.slice(10));
  assert.deepEqual([controlPlane.streams, held.size], [STREAMS * MAX_TARGETS, MAX_TARGETS]);
  targets.close();
  assert.deepEqual([controlPlane.streams, held.size], [0, 0]);
});
