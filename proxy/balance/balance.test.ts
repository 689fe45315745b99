import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Balancer, TRIED_AT_ONCE } from './balancer.ts';
import { plainEndpoint } from './endpoint.ts';
import { DECAY_MS, DEFAULT_RTT_MS, PeakEwma } from './peak-ewma.ts';
import { Picker } from './picker.ts';
import { causes, type Cause } from '../errors.ts';
import type { Reached, Upstream } from '../upstream/upstream.ts';

const at = (n: number) => plainEndpoint(`10.0.0.${n}`, 80);

/** A clock that only moves when it is told to. */
function manualClock() {
  let time = 0;
  let timers: { at: number; run: () => void }[] = [];
  return {
    clock: {
      now: () => time,
      monotonic: () => time,
      after(ms: number, run: () => void) {
        const timer = { at: time + ms, run };
        timers.push(timer);
        return {
          cancel() {
            timers = timers.filter((other) => other !== timer);
          },
        };
      },
    },
    advance(ms: number) {
      time += ms;
      const due = timers.filter((timer) => timer.at <= time);
      timers = timers.filter((timer) => timer.at > time);
      for (const timer of due) timer.run();
    },
    pending: () => timers.length,
  };
}

function harness(random: () => number = () => 0.5) {
  const time = manualClock();
  const open = new Set<string>();
  const trying = new Map<string, Reached>();
  const relabelled: [key: string, labels: Readonly<Record<string, string>>][] = [];
  const upstream = (address: string): Upstream => ({
    take: () => undefined,
    wait() {},
    cancel() {},
    reach(reached) {
      assert.ok(!trying.has(address), `${address} is tried twice`);
      trying.set(address, reached);
      return () => trying.delete(address);
    },
  });
  /** What comes of trying to reach one. */
  const tell = (address: string, failure?: Cause): void => {
    const reached = trying.get(address);
    assert.ok(reached !== undefined, `${address} is not tried`);
    trying.delete(address);
    reached(failure);
  };
  const balancer = new Balancer<{ upstream: Upstream; key: string }>({
    clock: time.clock,
    now: time.clock.now,
    random,
    open(e) {
      assert.ok(!open.has(e.key), `${e.key} opened twice`);
      open.add(e.key);
      return { upstream: upstream(e.address), key: e.key };
    },
    relabel: (resource, { labels }) => {
      relabelled.push([resource.key, labels]);
      return { ...resource };
    },
    close({ key }) {
      assert.ok(open.delete(key), `${key} closed without being open`);
    },
    onPicker() {},
  });
  const ready = () => balancer.picker.candidates.map((c) => c.endpoint.address).sort();
  return { balancer, time, open, ready, trying, tell, relabelled };
}

test('the average jumps to a worse time at once and decays towards a better one', () => {
  const load = new PeakEwma(0);
  load.observe(0, 500);
  assert.ok(load.cost(0) >= 500);
  load.observe(DECAY_MS, 0);
  const decayed = load.cost(DECAY_MS);
  assert.ok(Math.abs(decayed - 500 / Math.E) < 1, String(decayed));
});

test('what is in flight multiplies the cost; an idle endpoint is forgiven', () => {
  const load = new PeakEwma(0);
  const idle = load.cost(0);
  load.inFlight = 3;
  assert.equal(load.cost(0), 4 * idle);
  load.inFlight = 0;
  assert.ok(load.cost(DECAY_MS * 10) < DEFAULT_RTT_MS / 1_000);
});

test('two choices: the slowest of three is picked only when it meets no other', () => {
  const candidates = [10, 20, 1_000].map((rtt) => {
    const load = new PeakEwma(0, 1);
    load.observe(0, rtt);
    return { load, weight: 1 };
  });
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      (a, b) => {
        const draws = [a, b];
        const picked = new Picker(candidates, () => draws.shift() ?? 0).pick(0);
        assert.notEqual(picked, candidates[2]);
        assert.notEqual(picked, undefined);
      },
    ),
  );
});

test('load spreads in proportion to the weights', () => {
  const heavy = { load: new PeakEwma(0), weight: 3 };
  const light = { load: new PeakEwma(0), weight: 1 };
  const picker = new Picker([heavy, light], () => 0);
  for (let i = 0; i < 400; i++) {
    const picked = picker.pick(0);
    assert.ok(picked !== undefined);
    picked.load.inFlight++;
  }
  assert.deepEqual([heavy.load.inFlight, light.load.inFlight], [300, 100]);
});

test('a weight that changes counts at once, and the endpoint stays the same', () => {
  const { balancer } = harness(() => 0.5);
  balancer.update([at(1)]);
  const [before] = balancer.picker.candidates;
  balancer.update([{ ...at(1), weight: 0.25 }]);
  const [after] = balancer.picker.candidates;
  assert.equal(after, before);
  assert.equal(after?.weight, 0.25);
});

test('labels that change reach what the owner keeps, once, and the endpoint stays the same', () => {
  const { balancer, relabelled } = harness(() => 0.5);
  const labels = { zone_locality: 'remote' };
  balancer.update([{ ...at(1), labels }, at(2)]);
  const before = balancer.picker.candidates;
  for (const endpoint of before) endpoint.open();
  balancer.update([{ ...at(1), labels: { ...labels } }, at(2)]);
  assert.deepEqual(relabelled, []);
  balancer.update([{ ...at(1), labels: { zone_locality: 'local' } }, at(2)]);
  assert.deepEqual(relabelled, [[at(1).key, { zone_locality: 'local' }]]);
  assert.deepEqual(balancer.picker.candidates, before);
});

test('a picker without the one that failed never gives it', () => {
  const candidates = [1, 2].map(() => ({ load: new PeakEwma(0), weight: 1 }));
  const [a, b] = candidates;
  assert.ok(a !== undefined && b !== undefined);
  const picker = new Picker(candidates, () => 0).without(a);
  assert.equal(picker.pick(0), b);
  assert.equal(picker.without(b).pick(0), undefined);
});

test('a failed endpoint is away for a growing time; then a connection finds out, and no request', () => {
  const { balancer, time, ready, trying, tell } = harness(() => 0.999);
  balancer.update([at(1), at(2)]);
  const first = balancer.picker.candidates.find((c) => c.endpoint.address === '10.0.0.1');
  assert.ok(first !== undefined);
  const picked = (): string[] => [0, 1, 2].map(() => balancer.picker.pick(0)?.endpoint.address ?? '');
  balancer.failed(first);
  assert.deepEqual(ready(), ['10.0.0.2']);
  time.advance(99);
  assert.equal(trying.size, 0);
  time.advance(1);
  assert.deepEqual([...trying.keys()], ['10.0.0.1']);
  assert.deepEqual(picked(), ['10.0.0.2', '10.0.0.2', '10.0.0.2']);
  tell('10.0.0.1', causes.connectFailed);
  time.advance(100);
  assert.equal(trying.size, 0, 'the second time is longer');
  time.advance(100);
  tell('10.0.0.1');
  assert.deepEqual(ready(), ['10.0.0.1', '10.0.0.2']);
  balancer.failed(first);
  time.advance(100);
  assert.equal(trying.size, 1, 'the back-off began anew');
});

test('all of a large service are away: few are tried at once, and each has its turn', () => {
  const { balancer, time, ready, trying, tell } = harness();
  const n = 3 * TRIED_AT_ONCE;
  balancer.update(Array.from({ length: n }, (_, i) => at(i)));
  for (const one of balancer.picker.candidates) balancer.failed(one);
  time.advance(100);
  for (let reached = 0; reached < n; reached++) {
    assert.equal(trying.size, Math.min(TRIED_AT_ONCE, n - reached));
    const [next] = trying.keys();
    assert.ok(next !== undefined);
    tell(next);
  }
  assert.equal(ready().length, n);
});

test('a try that fails makes no new picker', () => {
  const { balancer, time, trying, tell } = harness();
  balancer.update([at(1), at(2)]);
  const [first] = balancer.picker.candidates;
  assert.ok(first !== undefined);
  balancer.failed(first);
  const { picker } = balancer;
  const { address } = first.endpoint;
  for (let i = 0; i < 3; i++) {
    time.advance(60_000);
    assert.ok(trying.has(address));
    tell(address, causes.connectFailed);
    assert.equal(balancer.picker, picker);
  }
  time.advance(60_000);
  tell(address);
  assert.equal(balancer.picker.candidates.length, 2);
});

test('while nobody asks nobody is tried; who is due is tried at once when somebody does', () => {
  const { balancer, time, trying } = harness();
  balancer.update([at(1), at(2)]);
  const [first, second] = balancer.picker.candidates;
  assert.ok(first !== undefined && second !== undefined);
  balancer.failed(first);
  time.advance(100);
  assert.equal(trying.size, 1);
  balancer.failed(second);
  balancer.rest();
  time.advance(100);
  assert.equal(trying.size, 0);
  balancer.wake();
  assert.equal(trying.size, 2);
});

test('reached again: ready at once', () => {
  const { balancer, time, ready } = harness();
  balancer.update([at(1)]);
  const [first] = balancer.picker.candidates;
  assert.ok(first !== undefined);
  balancer.failed(first);
  assert.deepEqual(ready(), []);
  balancer.succeeded(first);
  assert.deepEqual(ready(), ['10.0.0.1']);
  assert.equal(time.pending(), 0);
});

test('an endpoint that stays keeps its measurements through updates', () => {
  const { balancer } = harness();
  balancer.update([at(1)]);
  const [before] = balancer.picker.candidates;
  assert.ok(before !== undefined);
  balancer.update([at(2), at(1)]);
  assert.ok(balancer.picker.candidates.includes(before));
});

test('an endpoint’s resource is opened when it is first of use, from what is told of it then, and closed only where it was', () => {
  const { balancer, open, relabelled } = harness();
  balancer.update(Array.from({ length: 1_000 }, (_, i) => at(i)));
  assert.deepEqual([...open], []);
  const [first, second] = balancer.picker.candidates;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.open(), first.open());
  assert.deepEqual([...open], [first.endpoint.key]);
  balancer.update([
    { ...first.endpoint, labels: { zone_locality: 'local' } },
    { ...second.endpoint, labels: { a: 'b' } },
  ]);
  assert.deepEqual(relabelled, [[first.endpoint.key, { zone_locality: 'local' }]]);
  balancer.update([second.endpoint]);
  assert.deepEqual([...open], []);
});

test('an endpoint that is removed keeps what was opened, for requests that are there, and opens nothing any more', () => {
  const { balancer, open } = harness();
  balancer.update([at(1), at(2)]);
  const [used, unused] = balancer.picker.candidates;
  assert.ok(used !== undefined && unused !== undefined);
  const opened = used.open();
  balancer.update([]);
  assert.equal(used.open(), opened);
  assert.throws(() => unused.open(), /10\.0\.0\.2.* was removed/);
  assert.throws(() => unused.upstream, /10\.0\.0\.2.* was removed/);
  assert.equal(open.size, 0);
});

test('any history of updates and failures: what is open is what was of use and is wanted, none is closed twice, no timer is left', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), set: fc.uniqueArray(fc.integer({ min: 1, max: 6 })) }),
    fc.record({ kind: fc.constant('use' as const), n: fc.nat(5) }),
    fc.record({ kind: fc.constant('use stale' as const), n: fc.nat(11) }),
    fc.record({ kind: fc.constant('fail' as const), n: fc.nat(5) }),
    fc.record({ kind: fc.constant('succeed' as const), n: fc.nat(5) }),
    fc.record({ kind: fc.constant('time' as const), ms: fc.nat(500) }),
    fc.constantFrom({ kind: 'reach' as const }, { kind: 'miss' as const }),
    fc.constantFrom({ kind: 'rest' as const }, { kind: 'wake' as const }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const { balancer, time, open, ready, trying, tell } = harness();
      let wanted: number[] = [];
      const used = new Set<string>();
      const use = (endpoint: (typeof balancer.picker.candidates)[number] | undefined): void => {
        if (endpoint === undefined) return;
        const { opened, availability } = endpoint;
        if (opened !== undefined) assert.equal(endpoint.open(), opened);
        else if (availability.kind === 'removed') assert.throws(() => endpoint.open(), /was removed/);
        else {
          endpoint.open();
          used.add(endpoint.endpoint.key);
        }
      };
      const seen: (typeof balancer.picker.candidates)[number][] = [];
      for (const s of steps) {
        if (s.kind === 'set') {
          wanted = s.set;
          balancer.update(wanted.map(at));
          const keys = new Set(wanted.map((n) => at(n).key));
          for (const key of used) if (!keys.has(key)) used.delete(key);
          seen.push(...balancer.picker.candidates);
        } else if (s.kind === 'time') time.advance(s.ms);
        else if (s.kind === 'reach' || s.kind === 'miss') {
          const [first] = trying.keys();
          if (first !== undefined) tell(first, s.kind === 'miss' ? causes.connectFailed : undefined);
        } else if (s.kind === 'rest') balancer.rest();
        else if (s.kind === 'wake') balancer.wake();
        else if (s.kind === 'use') use(balancer.picker.candidates[s.n]);
        else if (s.kind === 'use stale') use(seen[s.n]);
        else {
          const e = seen[s.n];
          if (e === undefined) continue;
          if (s.kind === 'fail') balancer.failed(e);
          else balancer.succeeded(e);
        }
        for (const address of trying.keys()) {
          const n = Number(address.slice(7));
          assert.ok(wanted.includes(n));
          used.add(at(n).key);
        }
        assert.deepEqual([...open].sort(), [...used].sort());
        for (const address of ready()) assert.ok(wanted.includes(Number(address.slice(7))));
      }
      balancer.wake();
      time.advance(120_000);
      for (const address of trying.keys()) tell(address);
      assert.equal(ready().length, wanted.length, 'everyone comes back');
      balancer.close();
      assert.deepEqual([open.size, trying.size, time.pending()], [0, 0, 0]);
    }),
  );
});
