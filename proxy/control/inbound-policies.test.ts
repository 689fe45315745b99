import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { ServerSchema, type Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { GrpcError, grpcStatus, type Channel, type StreamHandlers } from '../../workload-identity/index.ts';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import { defaultPortPolicy, type Subject } from '../policy/inbound-policy.ts';
import { ControlMetrics } from '../telemetry/control-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { requestHead } from '../testing/request-head.ts';
import { InboundPolicies, MAX_LEARNT, type PolicyCell } from './inbound-policies.ts';

const MAX_WATCHED = 256;
const ANYBODY: Subject = { address: '10.0.0.1', authenticated: false, identity: '', spiffeId: '' };
/** Nobody is let in, by a Server and by default. */
const CLOSED = create(ServerSchema, { labels: { kind: 'server', name: 'closed' } });
const DENY = create(ServerSchema, { labels: { kind: 'default', name: 'deny' } });

interface Asked {
  readonly port: number;
  readonly handlers: StreamHandlers<Server>;
  ended: boolean;
}

/** A policy API that answers when the test says so; by default everybody is let in. @param probes of every port */
function harness(probes: readonly string[] = []) {
  const clock = new ManualClock(0);
  const asked: Asked[] = [];
  const channel: Channel = {
    unary: () => Promise.reject(new Error('only streams')),
    bidiStream: () => {
      throw new Error('only streams');
    },
    connect: () => {},
    close: () => {},
    serverStream: (_method, message, handlers) => {
      const port = 'port' in message ? Number(message.port) : 0;
      const one: Asked = { port, handlers: handlers as unknown as StreamHandlers<Server>, ended: false };
      asked.push(one);
      return {
        cancel: () => {
          one.ended = true;
        },
      };
    },
  };
  const policies = new InboundPolicies({
    channel,
    workload: '{}',
    own: () => ({ opaque: false, probes }),
    fallback: (own) => defaultPortPolicy('all-unauthenticated', [], own),
    clock,
    random: () => 0.5,
    metrics: new ControlMetrics(new Registry(), () => clock.now()).cells('policy'),
  });
  const open = (port: number): Asked | undefined => asked.findLast((one) => one.port === port && !one.ended);
  return {
    clock,
    policies,
    watched: () => new Set(asked.filter(({ ended }) => !ended).map(({ port }) => port)),
    /** As the control plane answers for a port that is being asked for. */
    tell: (port: number, server: Server = CLOSED) => open(port)?.handlers.message(server),
    end: (port: number, code: GrpcError['code']) => open(port)?.handlers.end(new GrpcError(code, 'it ended')),
    watchAll: (from: number, count: number): PolicyCell[] =>
      Array.from({ length: count }, (_, i) => {
        const cell = policies.port(from + i);
        open(from + i)?.handlers.message(DENY);
        return cell;
      }),
  };
}

function lets(cell: PolicyCell): boolean | undefined {
  return cell.current?.decide(ANYBODY).allowed;
}

test('what is learnt beforehand is there at the first use; of a range no more than its beginning', () => {
  const { policies, watched, tell } = harness();
  const range = Array.from({ length: 2 * MAX_LEARNT }, (_, i) => 1 + i);
  policies.learn(range);
  assert.deepEqual([...watched()], range.slice(0, MAX_LEARNT));
  tell(1, CLOSED);
  assert.equal(policies.port(1).current?.labels['srv_name'], 'closed');
  policies.stop();
});

test('requests wait for the policy, and only for a while: then the default holds until there is one', () => {
  const { policies, clock, tell } = harness();
  const cell = policies.port(80);
  let known = 0;
  cell.whenKnown(() => known++);
  clock.advance(999);
  assert.deepEqual([lets(cell), known], [undefined, 0]);
  clock.advance(1);
  assert.deepEqual([lets(cell), known], [true, 1]);
  tell(80);
  assert.deepEqual([lets(cell), known], [false, 1]);
  clock.advance(10_000);
  assert.equal(lets(cell), false, 'what is known stays');
});

test('the kubelet does not wait for the policy: its probes pass until there is one', () => {
  const { policies, clock, tell } = harness(['/healthz']);
  const cell = policies.port(80);
  const passes = (path: string): boolean | undefined =>
    cell.policyFor(requestHead({ path }))?.rulesFor(requestHead({ path })).decide(ANYBODY).allowed;
  assert.deepEqual([cell.probed, passes('/healthz'), passes('/')], [true, true, undefined]);
  assert.equal(cell.policyFor(undefined), undefined);
  tell(80, DENY);
  assert.deepEqual([passes('/healthz'), passes('/')], [true, false], 'the pod is not seen yet');
  tell(80, CLOSED);
  assert.deepEqual([passes('/healthz'), passes('/')], [false, false]);
  const other = policies.port(81);
  clock.advance(1_000);
  assert.equal(other.policyFor(requestHead({ path: '/healthz' })), other.current);
  assert.equal(harness().policies.port(80).probed, false);
});

test('a policy that is told each second does not lift its rate limit', () => {
  const { policies, tell } = harness();
  const limited = create(ServerSchema, {
    protocol: { kind: { case: 'http1', value: { localRateLimit: { total: { requestsPerSecond: 5 } } } } },
  });
  const cell = policies.port(80);
  let passed = 0;
  for (let now = 0; now < 3_000; now += 100) {
    tell(80, limited);
    for (let i = 0; i < 10; i++) if (cell.current?.limiter?.exceeded('', now) === undefined) passed++;
  }
  assert.ok(passed >= 5 && passed <= 5 + 3 * 5, `${passed} in three seconds`);
});

test('a control plane that is away for a moment is waited for; one that has no policies is not', () => {
  const { policies, clock, tell, end } = harness();
  const cell = policies.port(80);
  end(80, grpcStatus.unavailable);
  assert.equal(lets(cell), undefined, 'it may close what the default leaves open');
  clock.advance(500);
  tell(80);
  assert.equal(lets(cell), false);
  end(80, grpcStatus.unavailable);
  clock.advance(20_000);
  assert.equal(lets(cell), false, 'what is known stays');
  const other = policies.port(81);
  end(81, grpcStatus.unimplemented);
  assert.equal(lets(other), true);
});

test('who names many ports pushes out no Server, and gets no port by its default', () => {
  const { policies, watched, watchAll, tell, end } = harness();
  const server = policies.port(80);
  tell(80);
  const usual = policies.port(81);
  tell(81, DENY);
  for (const from of [10_000, 20_000, 30_000]) watchAll(from, MAX_WATCHED);
  assert.deepEqual([watched().has(80), watched().has(81), watched().size], [true, false, MAX_WATCHED]);
  assert.deepEqual([lets(server), lets(usual)], [false, undefined]);
  for (const port of watched()) end(port, grpcStatus.unavailable);
  assert.equal(lets(policies.port(443)), false, 'without a control plane nothing that is known is forgotten');
});

test('a policy that was forgotten is asked for again by who still uses it, also beside another', () => {
  const { policies, watchAll, tell } = harness();
  const held = policies.port(80);
  tell(80, DENY);
  watchAll(10_000, MAX_WATCHED);
  watchAll(20_000, MAX_WATCHED);
  const newer = policies.port(80);
  tell(80, DENY);
  assert.equal(held.current, undefined);
  let known = 0;
  held.whenKnown(() => known++);
  assert.deepEqual([known, lets(newer)], [0, false]);
  tell(80, DENY);
  assert.deepEqual([known, lets(held), lets(newer)], [1, false, false]);
});

test('beyond as many ports as are being asked for a port is closed, and is asked for later', () => {
  const { policies, clock, tell } = harness();
  for (let port = 1; port <= MAX_WATCHED; port++) policies.port(port);
  const cell = policies.port(8080);
  let known = 0;
  cell.whenKnown(() => known++);
  assert.deepEqual([lets(cell), known], [false, 1]);
  for (let port = 1; port <= MAX_WATCHED; port++) tell(port, DENY);
  clock.advance(1_000);
  assert.equal(lets(cell), undefined);
  cell.whenKnown(() => known++);
  tell(
    8080,
    create(ServerSchema, {
      authorizations: [{ authentication: { permit: { case: 'unauthenticated', value: {} } } }],
    }),
  );
  assert.deepEqual([lets(cell), known], [true, 2]);
});

test('once stopped nothing is asked for, and nothing is let in', () => {
  const { policies, watched, tell } = harness();
  const cell = policies.port(80);
  tell(80);
  policies.stop();
  assert.equal(watched().size, 0);
  assert.equal(lets(policies.port(81)), false);
  cell.whenKnown(() => {});
  assert.equal(lets(cell), false);
  assert.equal(watched().size, 0);
});
