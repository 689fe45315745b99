import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createClient } from './client.ts';
import { runLeaderElection } from './lease.ts';
import { resources } from './resources.ts';
import { startFakeApiServer } from './testing/fake-api-server.ts';
import type { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import type { KubernetesClient } from './types.ts';

const { leases } = resources;
let server: FakeApiServer;
let client: KubernetesClient;
let candidates: { stop: () => Promise<void> }[];

beforeEach(async () => {
  server = await startFakeApiServer({ checkNamespaces: false });
  client = createClient(server.config());
  candidates = [];
});
afterEach(async () => {
  server.fault = undefined;
  await Promise.all(candidates.map((c) => c.stop()));
  await client.close();
  await server.stop();
});

interface Candidate {
  clock: FakeClock;
  terms: number;
  leading: boolean;
  stop: () => Promise<void>;
}

function candidate(identity: string, of: KubernetesClient = client): Candidate {
  const stopping = new AbortController();
  const state: Candidate = {
    clock: new FakeClock(),
    terms: 0,
    leading: false,
    stop: () => Promise.resolve(),
  };
  const election = runLeaderElection(
    of,
    {
      namespace: 'isthmus',
      name: 'lock',
      identity,
      clock: state.clock,
      random: () => 0,
      lead: async (signal) => {
        state.terms += 1;
        state.leading = true;
        await new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        state.leading = false;
      },
    },
    stopping.signal,
  );
  state.stop = async () => {
    stopping.abort();
    await election;
  };
  candidates.push(state);
  return state;
}

const holder = (): string | undefined => server.find(leases, 'isthmus', 'lock')?.spec?.holderIdentity;

/** Moves time in small steps until `condition` holds; the calls between are real. */
async function advanceUntil(
  clocks: FakeClock[],
  condition: () => boolean,
  limitMs = 60_000,
): Promise<number> {
  for (let passed = 0; passed <= limitMs; passed += 500) {
    const requests = server.requests.length;
    for (let turn = 0; turn < 8; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (condition()) return passed;
    }
    if (requests === server.requests.length) for (const clock of clocks) await clock.advance(500);
    else passed -= 500;
  }
  throw new Error('the condition did not come true');
}

test('the first takes the lease, the second waits and takes over when it is released', async () => {
  const a = candidate('a');
  await advanceUntil([a.clock], () => a.leading);
  assert.equal(holder(), 'a');
  const b = candidate('b');
  await advanceUntil([a.clock, b.clock], () => server.requests.length > 8);
  assert.equal(b.leading, false);
  await a.stop();
  assert.equal(holder(), '');
  await advanceUntil([b.clock], () => b.leading);
  assert.equal(server.find(leases, 'isthmus', 'lock')?.spec?.leaseTransitions, 1);
});

test('a holder that died is followed only after its lease time, by the clock of the one who waits', async () => {
  server.put(leases, {
    metadata: { name: 'lock', namespace: 'isthmus' },
    spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2001-01-01T00:00:00.000000Z' },
  });
  const b = candidate('b');
  await advanceUntil([b.clock], () => b.leading);
  assert.ok(b.clock.now() >= 15_000, 'the old timestamp of another clock counts for nothing');
});

test('one that can not renew stops leading before its lease ends, and leads again when it can', async () => {
  const a = candidate('a');
  await advanceUntil([a.clock], () => a.leading);
  const before = a.clock.now();
  server.fault = () => ({ kind: 'status', code: 500 });
  await advanceUntil([a.clock], () => !a.leading);
  assert.ok(a.clock.now() - before <= 15_000);
  server.fault = undefined;
  await advanceUntil([a.clock], () => a.leading);
  assert.equal(a.terms, 2);
});

test('an answer that comes when the lease may have passed on makes nobody lead', async () => {
  const answer = Promise.withResolvers<void>();
  let asked = 0;
  const slow = new Proxy(client, {
    get(target, property: keyof KubernetesClient) {
      if (property !== 'create') return target[property].bind(target);
      return async (...args: Parameters<KubernetesClient['create']>) => {
        const made = await target.create(...args);
        asked += 1;
        await answer.promise;
        return made;
      };
    },
  });
  const a = candidate('a', slow);
  await advanceUntil([], () => asked === 1);
  await a.clock.advance(15_000);
  answer.resolve();
  await advanceUntil([a.clock], () => a.leading);
  const { leaseTransitions, acquireTime, renewTime } = server.find(leases, 'isthmus', 'lock')?.spec ?? {};
  assert.equal(leaseTransitions, 0);
  assert.ok((renewTime ?? '') > (acquireTime ?? ''), 'it was renewed before anybody led by it');
  assert.equal(a.terms, 1);
});

test('a server that hangs makes no second leader either', async () => {
  const a = candidate('a');
  await advanceUntil([a.clock], () => a.leading);
  server.fault = () => ({ kind: 'stall' });
  const before = a.clock.now();
  await advanceUntil([a.clock], () => !a.leading);
  assert.ok(a.clock.now() - before <= 15_000);
  server.endWatches('break');
  await server.stop();
});

test('a server that hangs does not keep a process from ending, and what it answers then lets go of nothing', async () => {
  const answer = Promise.withResolvers<void>();
  let hangs = false;
  let asked = 0;
  const slow = new Proxy(client, {
    get(target, property: keyof KubernetesClient) {
      if (property !== 'get') return target[property].bind(target);
      return async (...args: Parameters<KubernetesClient['get']>) => {
        if (!hangs) return target.get(...args);
        asked += 1;
        await answer.promise;
        return target.get(...args);
      };
    },
  });
  const a = candidate('a', slow);
  await advanceUntil([a.clock], () => a.leading);
  hangs = true;
  let ended = false;
  const stopped = a.stop().then(() => (ended = true));
  await advanceUntil([], () => asked === 1);
  const before = a.clock.now();
  await advanceUntil([a.clock], () => ended);
  assert.ok(a.clock.now() - before <= 5_000);
  await stopped;
  answer.resolve();
  // What it would write comes before the answers to who asks behind it.
  for (let i = 0; i < 3; i++) await client.get(leases, 'isthmus', 'lock');
  assert.equal(holder(), 'a');
});
