import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { FakeClock } from '../kubernetes/testing/fake-clock.ts';
import { GatewayMonitor, type Trust } from './gateway-monitor.ts';
import { linkSettings } from './link-settings.ts';
import type { GatewayView } from './mirror-objects.ts';
import type { ProbeResult } from './probe-connection.ts';
import { link } from './testing/link-fixture.ts';

const alive: ProbeResult = { kind: 'alive', latencyMs: 3 };
const failure = (reason: string, trust: 'shared' | 'refused' | 'unknown' = 'unknown'): ProbeResult => ({
  kind: 'failed',
  reason,
  message: reason,
  trust,
});

/** A monitor whose probes answer what `world.answer` says. The period is 3 s, death takes 3 failures. */
function watch(
  t: TestContext,
  addresses: string[] | undefined,
  lastKnown: { addresses?: string[]; port?: number } = {},
  trust?: Trust,
) {
  const clock = new FakeClock();
  const world = {
    clock,
    answer: alive as ProbeResult | ((address: string) => ProbeResult),
    names: new Map<string, string[]>(),
    probes: [] as string[],
    views: [] as GatewayView[],
  };
  const { gateway, ...spec } = link('west').spec;
  const { addresses: _fixed, ...followed } = gateway;
  const monitor = new GatewayMonitor({
    settings: linkSettings(
      link('west', { ...spec, gateway: addresses === undefined ? followed : { ...followed, addresses } }),
    ),
    lastKnown,
    trust,
    probe: ({ address, port }) => {
      world.probes.push(`${address}:${port}`);
      return Promise.resolve(typeof world.answer === 'function' ? world.answer(address) : world.answer);
    },
    resolve: (host) => {
      const found = world.names.get(host);
      return found === undefined ? Promise.reject(new Error('no such name')) : Promise.resolve(found);
    },
    onChange: (view) => world.views.push(view),
    onProbe: () => {},
    clock,
    random: () => 0,
  });
  t.after(() => monitor.stop());
  monitor.start();
  return { ...world, world, monitor };
}

test('no verdict before the first probe; alive with one success', async (t) => {
  const { clock, monitor } = watch(t, ['192.0.2.1']);
  assert.equal(monitor.view.alive, undefined);
  await clock.advance(0);
  assert.deepEqual(monitor.view, { addresses: ['192.0.2.1'], port: 4143, alive: true });
});

test('dead only after three failures in a row, alive again at once', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1']);
  await clock.advance(0);
  world.answer = failure('Timeout');
  await clock.advance(6000);
  assert.equal(monitor.view.alive, true);
  await clock.advance(3000);
  assert.equal(monitor.view.alive, false);
  world.answer = alive;
  await clock.advance(3000);
  assert.equal(monitor.view.alive, true);
});

test('a gateway that is dead from the start is told dead', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1']);
  world.answer = failure('ConnectionFailed');
  await clock.advance(3000);
  assert.equal(monitor.view.alive, undefined);
  await clock.advance(3000);
  assert.equal(monitor.view.alive, false);
});

test('a gateway of which nothing is known is looked for more often, and no sooner told dead', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1']);
  world.answer = failure('ConnectionFailed');
  await clock.advance(1000);
  assert.equal(world.probes.length, 5);
  world.answer = alive;
  await clock.advance(250);
  assert.equal(monitor.view.alive, true);
  await clock.advance(2999);
  assert.equal(world.probes.length, 7);
  world.answer = failure('ConnectionFailed');
  await clock.advance(6000);
  assert.equal(monitor.view.alive, true);
  await clock.advance(3000);
  assert.equal(monitor.view.alive, false);
});

test('one of several addresses that answers is enough', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1', '192.0.2.2']);
  world.answer = (address) => (address === '192.0.2.2' ? alive : failure('Timeout'));
  await clock.advance(30_000);
  assert.equal(monitor.view.alive, true);
});

test("the Service's addresses and port are followed; fixed ones are not overridden", async (t) => {
  const followed = watch(t, undefined);
  await followed.clock.advance(0);
  assert.equal(followed.monitor.last?.kind === 'failed' && followed.monitor.last.reason, 'NoAddress');
  followed.monitor.setService({ addresses: ['192.0.2.9'], port: 5000 });
  await followed.clock.advance(0);
  assert.deepEqual(followed.monitor.view, { addresses: ['192.0.2.9'], port: 5000, alive: true });
  const fixed = watch(t, ['192.0.2.1']);
  fixed.monitor.setService({ addresses: ['192.0.2.9'], port: undefined });
  await fixed.clock.advance(0);
  assert.deepEqual(fixed.monitor.view.addresses, ['192.0.2.1']);
});

test('a Service that loses its addresses, or an API that is away, leaves the last known', async (t) => {
  const { clock, monitor } = watch(t, undefined, { addresses: ['192.0.2.7'], port: 30_143 });
  assert.deepEqual(monitor.view.addresses, ['192.0.2.7']);
  monitor.setService({ addresses: [], port: 4143 });
  monitor.setService(undefined);
  await clock.advance(3000);
  assert.deepEqual(monitor.view, { addresses: ['192.0.2.7'], port: 30_143, alive: true });
});

test('host names are resolved, and again; one that resolves no more keeps its addresses and dies by the probe', async (t) => {
  const { clock, monitor, world } = watch(t, ['gw.example']);
  world.names.set('gw.example', ['192.0.2.1']);
  await clock.advance(0);
  assert.deepEqual(monitor.view.addresses, ['192.0.2.1']);
  world.names.set('gw.example', ['192.0.2.3', '192.0.2.2']);
  await clock.advance(33_000);
  assert.deepEqual(monitor.view.addresses, ['192.0.2.2', '192.0.2.3']);
  world.names.clear();
  world.answer = failure('Timeout');
  await clock.advance(9000);
  assert.deepEqual(monitor.view, { addresses: ['192.0.2.2', '192.0.2.3'], port: 4143, alive: false });
});

test('trust follows what handshakes show, and a broken connection shows nothing', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1']);
  assert.equal(monitor.trust.verdict, 'unknown');
  await clock.advance(0);
  assert.equal(monitor.trust.verdict, 'shared');
  world.answer = failure('Timeout');
  await clock.advance(3000);
  assert.equal(monitor.trust.verdict, 'shared');
  world.answer = failure('UnknownAnchor', 'refused');
  await clock.advance(3000);
  assert.deepEqual([monitor.trust.verdict, monitor.trust.reason], ['refused', 'UnknownAnchor']);
});

test('trust that was known of the gateway stays while it does not answer', async (t) => {
  const known: Trust = { verdict: 'shared', reason: 'Verified', message: 'by the monitor before' };
  const { clock, monitor, world } = watch(t, ['192.0.2.1'], {}, known);
  world.answer = failure('ConnectionFailed');
  await clock.advance(0);
  assert.deepEqual(monitor.trust, known);
  world.answer = failure('UnknownAnchor', 'refused');
  await clock.advance(3000);
  assert.equal(monitor.trust.verdict, 'refused');
});

test('without an own certificate nothing is learnt about the gateway', async (t) => {
  const { clock, monitor, world } = watch(t, ['192.0.2.1']);
  world.answer = failure('NoIdentity');
  await clock.advance(60_000);
  assert.equal(monitor.view.alive, undefined);
});
