import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import type { Reached, Upstream } from '../upstream/upstream.ts';
import type { Availability, BalancedEndpoint } from './balanced-endpoint.ts';
import { Balancer, MIN_READY_SHARE } from './balancer.ts';
import { plainEndpoint } from './endpoint.ts';
import type { AccrualConfig, Outcome } from './failure-accrual.ts';
import { DEFAULT_PENALTY } from './penalty.ts';

type Chosen = BalancedEndpoint<{ upstream: Upstream }>;

const at = (n: number) => plainEndpoint(`10.0.0.${n}`, 80);

/** Nobody has made a connection there. */
const UNREACHED = new Set<string>(['away', 'due', 'trying'] satisfies Availability['kind'][]);

/** Three failures in a row, out for 1 s, 2 s, 4 s, at most 8 s. */
const CONSECUTIVE: AccrualConfig = {
  maxFailures: 3,
  successRate: undefined,
  backOff: { minMs: 1_000, maxMs: 8_000, jitter: 0 },
  honoursRetryAfter: true,
  minReady: 0,
};

function harness(accrual: AccrualConfig, n: number) {
  const clock = new ManualClock(0);
  const trying = new Set<Reached>();
  const upstream: Upstream = {
    take: () => undefined,
    wait() {},
    cancel() {},
    reach(reached) {
      trying.add(reached);
      return () => trying.delete(reached);
    },
  };
  /** Everybody who is tried is there. */
  const reachAll = (): void => {
    for (const reached of trying) {
      trying.delete(reached);
      reached(undefined);
    }
  };
  const balancer = new Balancer<{ upstream: Upstream }>({
    clock,
    now: () => clock.now(),
    random: () => 0.5,
    open: () => ({ upstream }),
    close() {},
    onPicker() {},
  });
  balancer.configure({ accrual, penalty: DEFAULT_PENALTY });
  balancer.update(Array.from({ length: n }, (_, i) => at(i)));
  const all = [...balancer.picker.candidates];
  const one = (i: number): Chosen => {
    const found = all[i];
    assert.ok(found !== undefined);
    return found;
  };
  const fail = (i: number, times = 3): void => {
    for (let k = 0; k < times; k++) balancer.record(one(i), 'failure', 0);
  };
  const ready = (): number => balancer.picker.candidates.length;
  return { clock, balancer, all, one, fail, ready, reachAll };
}

test('failures in a row eject; a success between them does not let it come to that', () => {
  const { balancer, one, fail, ready } = harness(CONSECUTIVE, 3);
  fail(0, 2);
  balancer.record(one(0), 'success', 0);
  fail(0, 2);
  assert.equal(ready(), 3);
  fail(0, 1);
  assert.equal(ready(), 2);
  assert.equal(one(0).availability.kind, 'ejected');
});

test('probation takes one request: it comes back when that succeeds, and is out for longer when it fails', () => {
  const { clock, balancer, one, fail, ready } = harness(CONSECUTIVE, 3);
  fail(0);
  clock.advance(999);
  assert.equal(one(0).availability.kind, 'ejected');
  clock.advance(1);
  const probe = balancer.picker.pick(clock.now());
  assert.equal(probe, one(0), 'the probe goes first');
  balancer.picked(one(0));
  assert.notEqual(balancer.picker.pick(clock.now()), one(0), 'and there is one alone');
  balancer.record(one(0), 'failure', 0);
  clock.advance(1_999);
  assert.equal(one(0).availability.kind, 'ejected');
  clock.advance(1);
  balancer.picked(one(0));
  // The client of the probe left: that says nothing.
  balancer.left(one(0));
  assert.equal(one(0).availability.kind, 'probation');
  balancer.picked(one(0));
  balancer.record(one(0), 'success', 0);
  assert.equal(ready(), 3);
  fail(0);
  clock.advance(1_000);
  assert.equal(one(0).availability.kind, 'probation', 'the back-off began anew');
});

test('a probe that cannot connect is a failure; what asks to be left alone longer is', () => {
  const { clock, balancer, one, fail } = harness(CONSECUTIVE, 3);
  fail(0);
  clock.advance(1_000);
  balancer.picked(one(0));
  balancer.failed(one(0));
  assert.equal(one(0).availability.kind, 'ejected');
  clock.advance(2_000);
  balancer.picked(one(0));
  balancer.record(one(0), 'failure', 20_000);
  clock.advance(19_999);
  assert.equal(one(0).availability.kind, 'ejected');
  clock.advance(1);
  assert.equal(one(0).availability.kind, 'probation');
});

test('a low success rate ejects, once there are enough answers; being limited counts against it', () => {
  const successRate = { threshold: 0.8, windowMs: 10_000, minRequests: 5 };
  const { clock, balancer, one, ready } = harness({ ...CONSECUTIVE, maxFailures: 100, successRate }, 2);
  const record = (...outcomes: Outcome[]): void => {
    for (const outcome of outcomes) balancer.record(one(0), outcome, 0);
  };
  record('limited', 'success', 'success', 'success');
  assert.equal(ready(), 2, 'too few answers');
  record('success');
  assert.equal(ready(), 2, 'four of five are enough');
  clock.advance(20_000);
  record('success', 'success', 'success', 'limited');
  assert.equal(ready(), 2, 'the old ones are forgotten');
  record('failure');
  assert.equal(ready(), 1);
});

test('half of the endpoints always stay, whoever fails; when others go, the ejected come back', () => {
  const { balancer, all, fail, ready } = harness(CONSECUTIVE, 6);
  for (let i = 0; i < 6; i++) fail(i, 10);
  assert.equal(ready(), 3);
  const left = balancer.picker.candidates;
  const [first] = left;
  assert.ok(first !== undefined && all.includes(first));
  balancer.failed(first);
  assert.equal(ready(), 3);
  balancer.update([0, 1].map(at));
  assert.ok(ready() >= 1);
});

test('of few endpoints half stay, too: of one it, of two one, of three two', () => {
  for (const [endpoints, stay] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [5, 3],
  ] as const) {
    const { fail, ready } = harness(CONSECUTIVE, endpoints);
    for (let i = 0; i < endpoints; i++) fail(i, 10);
    assert.equal(ready(), stay, `of ${endpoints}`);
  }
});

test('without an accrual nobody is out, and a policy that goes lets all back', () => {
  const { balancer, fail, ready } = harness(CONSECUTIVE, 4);
  fail(0);
  fail(1);
  assert.equal(ready(), 2);
  balancer.configure({ accrual: undefined, penalty: DEFAULT_PENALTY });
  assert.equal(ready(), 4);
  fail(0, 100);
  assert.equal(ready(), 4);
});

test('a policy that is told anew changes nothing; one with another accrual judges anew', () => {
  const { balancer, fail, ready } = harness(CONSECUTIVE, 4);
  const again = (accrual: AccrualConfig): void =>
    balancer.configure({ accrual: structuredClone(accrual), penalty: DEFAULT_PENALTY });
  fail(0);
  fail(1, 2);
  again(CONSECUTIVE);
  assert.equal(ready(), 3);
  fail(1, 1);
  assert.equal(ready(), 2, 'what was counted counts on');
  again({ ...CONSECUTIVE, maxFailures: 4 });
  assert.equal(ready(), 4);
});

test('an endpoint that fails costs more, as long as it asks for; with time it is forgiven', () => {
  const { balancer, one, clock } = harness(CONSECUTIVE, 2);
  const { load } = one(0);
  const before = load.cost(0);
  balancer.record(one(0), 'limited', 60_000);
  assert.ok(load.cost(0) >= before + DEFAULT_PENALTY.penaltyMs);
  clock.advance(60_000);
  assert.ok(load.cost(clock.now()) >= DEFAULT_PENALTY.penaltyMs);
  clock.advance(60_000);
  assert.ok(load.cost(clock.now()) < 1);
});

test('any history: the minimum is ready as far as it can be reached, and all come back at last', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('fail', 'succeed', 'unreachable', 'reached', 'left'), n: fc.nat(7) }),
    fc.record({ kind: fc.constant('ask' as const), n: fc.nat(1) }),
    fc.record({ kind: fc.constant('set' as const), n: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ kind: fc.constant('time' as const), n: fc.nat(5_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, balancer, reachAll } = harness({ ...CONSECUTIVE, maxFailures: 2 }, 4);
      const known = new Set<Chosen>(balancer.picker.candidates);
      for (const { kind, n } of steps) {
        const chosen = [...known][n];
        if (kind === 'set') balancer.update(Array.from({ length: n }, (_, i) => at(i)));
        else if (kind === 'time') clock.advance(n);
        else if (kind === 'ask') {
          const picked = balancer.picker.pick(clock.now());
          if (picked !== undefined) balancer.picked(picked);
        } else if (chosen !== undefined) {
          if (kind === 'fail') balancer.record(chosen, 'failure', 0);
          else if (kind === 'succeed') balancer.record(chosen, 'success', 0);
          else if (kind === 'left') balancer.left(chosen);
          else if (kind === 'reached') balancer.succeeded(chosen);
          else balancer.failed(chosen);
        }
        for (const one of balancer.picker.candidates) known.add(one);
        const present = [...known].filter(({ availability }) => availability.kind !== 'removed');
        const away = present.filter(({ availability: { kind: is } }) => UNREACHED.has(is)).length;
        const minimum = Math.max(1, Math.ceil(balancer.size * MIN_READY_SHARE));
        assert.ok(balancer.picker.candidates.length >= Math.min(minimum, balancer.size - away));
      }
      for (let i = 0; i < 40; i++) {
        clock.advance(120_000);
        reachAll();
        const probe = balancer.picker.pick(clock.now());
        if (probe === undefined) continue;
        balancer.picked(probe);
        for (const one of known) if (one.availability.kind === 'probing') balancer.record(one, 'success', 0);
      }
      assert.equal(balancer.picker.candidates.length, balancer.size);
      balancer.close();
    }),
  );
});
