import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { FakeControlPlane, type FakeEndpoint } from '../testing/mesh/fake-control-plane.ts';
import { GrpcError, grpcStatus, type Channel, type StreamHandlers } from '../../workload-identity/index.ts';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import { ControlMetrics } from '../telemetry/control-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { Discovery, type Found } from './discovery.ts';

const NAME = 'web.shop:80';
const ONE: FakeEndpoint = { address: '10.0.0.1', port: 8080 };
const TWO: FakeEndpoint = { address: '10.0.0.2', port: 8080, inboundPort: 4143, spiffeId: 'spiffe://a/b' };

function harness() {
  const clock = new ManualClock(0);
  const controlPlane = new FakeControlPlane();
  const registry = new Registry();
  const metrics = new ControlMetrics(registry, () => clock.now());
  const service = { service: 'destination' };
  const live = metrics.live.cell(service);
  const broken = metrics.broken.cell(service);
  const cells = metrics.cells('destination');
  const seen: Found[] = [];
  const discovery = new Discovery(
    NAME,
    { channel: controlPlane.channel(), contextToken: '{}', clock, random: () => 0.5, metrics: cells },
    (found) => seen.push(found),
  );
  return { clock, controlPlane, discovery, live, broken, cells, seen };
}

function endpointsOf(found: Found): readonly Endpoint[] {
  return found.kind === 'endpoints' ? found.endpoints : [];
}

function isOpaque(found: Found): boolean {
  return found.kind === 'endpoints' && found.opaque;
}

/** What crosses the fake's channel takes a turn each way. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await nextTurn();
}

function addresses(found: Found): string[] {
  return found.kind === 'endpoints' ? found.endpoints.map((one) => one.address) : [found.kind];
}

test('endpoints come, differ and go; dial port and identity are taken over', async () => {
  const { controlPlane, discovery } = harness();
  controlPlane.setService(NAME, [ONE]);
  discovery.resume();
  assert.deepEqual(addresses(discovery.found), ['waiting']);
  await settle();
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  controlPlane.setService(NAME, [ONE, TWO]);
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1', '10.0.0.2']);
  const [, two] = endpointsOf(discovery.found);
  assert.deepEqual([two?.port, two?.dialPort, two?.identity?.spiffeId], [8080, 4143, 'spiffe://a/b']);
  controlPlane.setService(NAME, [TWO], { opaque: true });
  assert.deepEqual(addresses(discovery.found), ['10.0.0.2']);
  assert.equal(isOpaque(discovery.found), true);
  controlPlane.setService(NAME, []);
  assert.deepEqual(addresses(discovery.found), []);
});

/** A control plane that answers when the test does, and what it has been asked. */
function asked(path: string) {
  const calls: { method: string; handlers: StreamHandlers<object>; cancelled: boolean }[] = [];
  const channel = {
    ...new FakeControlPlane().channel(),
    serverStream(method, _request, handlers) {
      const call = {
        method: method.path.slice(method.path.lastIndexOf('/') + 1),
        handlers: { ...handlers, message: (answer: object) => handlers.message(method.answer(answer)) },
        cancelled: false,
      };
      calls.push(call);
      return { cancel: () => void (call.cancelled = true) };
    },
  } satisfies Channel;
  const clock = new ManualClock(0);
  const metrics = new ControlMetrics(new Registry(), () => clock.now()).cells('destination');
  const options = { channel, contextToken: '{}', clock, random: () => 0.5, metrics };
  const discovery = new Discovery(path, options, () => undefined);
  discovery.resume();
  /** The newest call of a method that has not been given up. */
  const call = (method: string): StreamHandlers<object> => {
    const found = calls.findLast((one) => one.method === method && !one.cancelled);
    assert.ok(found !== undefined, `${method} is asked for`);
    return found.handlers;
  };
  const methodsOf = (): string[] => calls.map(({ method }) => method);
  return { clock, discovery, call, methodsOf };
}

const ENDPOINT = { addr: { port: 8080, ip: { ip: { case: 'ipv4', value: 0x0a00_0001 } } } };
const ADDED = { update: { case: 'add', value: { addrs: [ENDPOINT] } } };
const noService = new GrpcError(grpcStatus.invalidArgument, 'no such service');

test('a name is asked for both at once; endpoints are of use with the profile', () => {
  const { discovery, call, methodsOf } = asked(NAME);
  assert.deepEqual(methodsOf(), ['GetProfile', 'Get']);
  call('Get').message(ADDED);
  assert.equal(discovery.found.kind, 'waiting');
  call('GetProfile').message({ opaqueProtocol: true });
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  assert.equal(isOpaque(discovery.found), true);
  // In use again: what came before is not the present.
  discovery.suspend();
  discovery.resume();
  call('Get').message(ADDED);
  assert.equal(discovery.found.kind, 'waiting');
  call('GetProfile').message({});
  assert.equal(isOpaque(discovery.found), false);
});

test('back again, the control plane is asked for both as soon as it has answered one', () => {
  for (const [first, second] of [
    ['GetProfile', 'Get'],
    ['Get', 'GetProfile'],
  ] as const) {
    const { clock, discovery, call, methodsOf } = asked(NAME);
    const away = new GrpcError(grpcStatus.unavailable, 'away');
    // One fails once more, and so waits for longer.
    call(first).end(away);
    call(second).end(away);
    clock.advance(60);
    call(second).end(away);
    const before = methodsOf().length;
    call(first).message(first === 'Get' ? ADDED : {});
    assert.deepEqual(methodsOf().slice(before), [second]);
    call(second).message(second === 'Get' ? ADDED : {});
    assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  }
});

test('streams that end right behind their message are opened ever less often; one that has lasted soon', () => {
  const { clock, call, methodsOf } = asked(NAME);
  const opened = (): number => methodsOf().filter((method) => method === 'GetProfile').length;
  const broken = new GrpcError(grpcStatus.internal, 'a message could not be taken');
  for (let i = 0; i < 100; i++) {
    call('GetProfile').message({});
    call('GetProfile').end(broken);
    const before = opened();
    while (opened() === before) clock.advance(50);
  }
  assert.ok(clock.now() > 80 * 7_500, `a hundred streams within ${clock.now()} ms`);
  call('GetProfile').message({});
  clock.advance(10_000);
  call('GetProfile').end(broken);
  const before = opened();
  clock.advance(50);
  assert.equal(opened(), before + 1);
});

for (const path of ['10.0.0.1:80', '[fd00::1]:80'])
  test(`an address is asked for its profile first: ${path}`, () => {
    const { discovery, call, methodsOf } = asked(path);
    assert.deepEqual(methodsOf(), ['GetProfile']);
    call('GetProfile').message({});
    call('Get').message(ADDED);
    assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  });

test('that a name has no endpoints of a Service says nothing before its profile', () => {
  const pod = asked('web-0.web.shop:80');
  pod.call('Get').end(noService);
  assert.equal(pod.discovery.found.kind, 'waiting');
  pod.call('GetProfile').message({ endpoint: ENDPOINT });
  assert.deepEqual(addresses(pod.discovery.found), ['10.0.0.1']);

  const none = asked('web.other:80');
  none.call('Get').end(noService);
  none.call('GetProfile').message({});
  assert.deepEqual(none.methodsOf(), ['GetProfile', 'Get', 'Get']);
  none.call('Get').end(noService);
  assert.equal(none.discovery.found.kind, 'no-service');
});

test('a name that is no Service is final', async () => {
  const { controlPlane, discovery } = harness();
  discovery.resume();
  await settle();
  assert.equal(discovery.found.kind, 'no-service');
  assert.equal(controlPlane.streams, 0);
});

test('the control plane dies: what it told stays; back again, its new state replaces the old', async () => {
  const { clock, controlPlane, discovery, live, broken, cells } = harness();
  controlPlane.setService(NAME, [ONE]);
  discovery.resume();
  await settle();
  assert.deepEqual([live.value, broken.value, cells.staleSeconds], [2, 0, 0]);
  controlPlane.kill();
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  // Ten minutes.
  for (let i = 0; i < 60; i++) {
    clock.advance(10_000);
    await settle();
  }
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  assert.deepEqual([live.value, cells.staleSeconds], [0, 600]);
  controlPlane.setService(NAME, [TWO]);
  controlPlane.revive();
  for (let i = 0; i < 5 && live.value < 2; i++) {
    clock.advance(10_000);
    await settle();
  }
  assert.deepEqual([live.value, broken.value, cells.staleSeconds], [2, 0, 0]);
  clock.advance(1_000);
  assert.deepEqual(addresses(discovery.found), ['10.0.0.2']);
});

test('idle: the streams end; in use again, a fresh answer is waited for', async () => {
  const { controlPlane, discovery } = harness();
  controlPlane.setService(NAME, [ONE]);
  discovery.resume();
  await settle();
  discovery.suspend();
  assert.equal(controlPlane.streams, 0);
  controlPlane.setService(NAME, [TWO]);
  discovery.resume();
  assert.equal(discovery.found.kind, 'waiting');
  await settle();
  assert.deepEqual(addresses(discovery.found), ['10.0.0.2']);
});

test('idle while the control plane is away: in use again, what it told last counts', async () => {
  const { clock, controlPlane, discovery, cells } = harness();
  controlPlane.setService(NAME, [ONE]);
  discovery.resume();
  await settle();
  discovery.suspend();
  controlPlane.kill();
  clock.advance(300_000);
  assert.equal(cells.staleSeconds, 0, 'nobody uses what it told');
  discovery.resume();
  await settle();
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  clock.advance(1_000);
  assert.equal(cells.staleSeconds, 301);
  discovery.suspend();
  assert.equal(cells.staleSeconds, 0);
});

test('a control plane that was never there is missed since it was asked first', async () => {
  const { clock, controlPlane, discovery, cells } = harness();
  controlPlane.kill();
  discovery.resume();
  await settle();
  clock.advance(999);
  assert.equal(cells.staleSeconds, 0, 'an answer may take a second');
  clock.advance(59_001);
  await settle();
  assert.equal(cells.staleSeconds, 60);
});

test('idle, and the control plane hangs: what it told last counts after a second', async () => {
  const { clock, controlPlane, discovery, cells } = harness();
  controlPlane.setService(NAME, [ONE]);
  discovery.resume();
  await settle();
  discovery.suspend();
  controlPlane.hang();
  discovery.resume();
  await settle();
  clock.advance(999);
  assert.deepEqual([discovery.found.kind, cells.staleSeconds], ['waiting', 0]);
  clock.advance(1);
  assert.deepEqual(addresses(discovery.found), ['10.0.0.1']);
  assert.equal(cells.staleSeconds, 1);
});

/** An addition of ports `from` to `to`, without the last. */
const addedPorts = (from: number, to: number) => ({
  update: {
    case: 'add',
    value: {
      addrs: Array.from({ length: to - from }, (_, index) => ({
        addr: { ...ENDPOINT.addr, port: from + index },
      })),
    },
  },
});

/** 500 endpoints are in use, and their stream has been lost and is asked for again. */
function lostLarge() {
  const made = asked(NAME);
  const { clock, discovery, call } = made;
  const lose = (): void => {
    call('Get').end(new GrpcError(grpcStatus.unavailable, 'away'));
    const before = made.methodsOf().length;
    while (made.methodsOf().length === before) clock.advance(10);
  };
  const size = (): number => endpointsOf(discovery.found).length;
  call('GetProfile').message({});
  for (const from of [1, 201, 401]) call('Get').message(addedPorts(from, Math.min(from + 200, 501)));
  assert.equal(size(), 500);
  lose();
  return { ...made, lose, size };
}

test('a large set told anew in pieces is never smaller meanwhile; what is gone leaves', () => {
  const { clock, discovery, call, size } = lostLarge();
  // The last is gone, and there is one more.
  for (const [from, to] of [
    [1, 201],
    [201, 401],
    [401, 500],
  ] as const) {
    call('Get').message(addedPorts(from, to));
    assert.equal(size(), 500);
    clock.advance(999);
  }
  // One that was not known before puts nothing off.
  call('Get').message(addedPorts(501, 502));
  assert.equal(size(), 501);
  clock.advance(1);
  assert.equal(size(), 500);
  assert.ok(endpointsOf(discovery.found).every(({ port }) => port !== 500));
});

test('a stream that is lost before it told all takes nothing away, however long the next takes', () => {
  const { clock, call, lose, size } = lostLarge();
  call('Get').message(addedPorts(1, 201));
  lose();
  clock.advance(5_000);
  assert.equal(size(), 500);
  call('Get').message(addedPorts(201, 401));
  clock.advance(1_000);
  assert.equal(size(), 200);
});

test('that there are no endpoints counts at once, and a removal ends the wait', () => {
  const none = lostLarge();
  none.call('Get').message(addedPorts(1, 201));
  none.call('Get').message({ update: { case: 'noEndpoints', value: { exists: true } } });
  assert.equal(none.size(), 0);
  none.clock.advance(1_000);
  assert.equal(none.size(), 0);
  const removal = lostLarge();
  removal.call('Get').message(addedPorts(1, 201));
  removal
    .call('Get')
    .message({ update: { case: 'remove', value: { addrs: [{ ...ENDPOINT.addr, port: 1 }] } } });
  assert.equal(removal.size(), 199);
});

test('a name that is given up while it waits publishes nothing more', () => {
  const { clock, discovery, call } = lostLarge();
  call('Get').message(addedPorts(1, 201));
  discovery.suspend();
  clock.advance(1_000);
  assert.equal(discovery.found.kind, 'waiting');
});
