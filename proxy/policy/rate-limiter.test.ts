import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';

import { HttpLocalRateLimitSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { RateLimit, RateLimiter } from './rate-limiter.ts';

type Told = MessageInitShape<typeof HttpLocalRateLimitSchema>;

function limiter(told: Told, before?: RateLimiter): RateLimiter {
  return new RateLimiter(create(HttpLocalRateLimitSchema, told), before);
}

/** How many of n requests at one moment are let pass. */
function passed(limits: RateLimiter, identity: string, n: number, now: number): number {
  return Array.from({ length: n }, () => limits.exceeded(identity, now)).filter((one) => one === undefined)
    .length;
}

test('in no second more is let pass than the limit allows, but for what a second has saved up', () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), gaps, (perSecond, waits) => {
      const limit = new RateLimit(perSecond);
      let now = 1_000_000;
      const times: number[] = [];
      for (const wait of waits) {
        now += wait;
        if (!limit.admits(now)) continue;
        limit.take(now);
        times.push(now);
      }
      for (const [i, start] of times.entries()) {
        const window = times.slice(i).filter((at) => at < start + 1_000);
        assert.ok(window.length <= 2 * perSecond, `${window.length} in a second`);
      }
      const long = (times.at(-1) ?? 0) - (times[0] ?? 0);
      assert.ok(times.length <= perSecond + Math.ceil((long / 1_000) * perSecond) + 1);
    }),
  );
});

test('a limit lets its number pass at once, and as many again a second later', () => {
  const limits = limiter({ total: { requestsPerSecond: 5 } });
  assert.equal(passed(limits, 'a', 10, 5_000), 5);
  assert.equal(passed(limits, 'b', 10, 5_000), 0);
  assert.equal(passed(limits, 'b', 10, 5_200), 1);
  assert.equal(passed(limits, 'b', 10, 9_000), 5);
});

test('each client has its own limit; who is over it takes nothing from the others', () => {
  const limits = limiter({ total: { requestsPerSecond: 6 }, identity: { requestsPerSecond: 2 } });
  assert.equal(passed(limits, 'noisy', 100, 0), 2);
  assert.equal(passed(limits, 'a', 3, 0), 2);
  assert.equal(passed(limits, '', 3, 0), 2);
  assert.equal(passed(limits, 'b', 3, 0), 0, 'the total is used up');
  assert.deepEqual([limits.exceeded('a', 0), limits.exceeded('b', 0)], ['identity', 'total']);
});

test('an override takes the place of the limit for each client, and is shared by those whom it names', () => {
  const clients = { identities: [{ name: 'a' }, { name: 'b' }] };
  const limits = limiter({
    identity: { requestsPerSecond: 1 },
    overrides: [{ limit: { requestsPerSecond: 4 }, clients }],
  });
  assert.equal(passed(limits, 'a', 3, 0), 3);
  assert.equal(passed(limits, 'b', 3, 0), 1);
  assert.equal(passed(limits, 'c', 3, 0), 1);
});

test('no limits at all let everything pass', () => {
  assert.equal(passed(limiter({}), 'a', 1_000, 0), 1_000);
});

test('limits that are told anew, each second or with each request, let no more pass than those that stay', () => {
  const clients = { identities: [{ name: 'a' }] };
  const told: Told[] = [
    { total: { requestsPerSecond: 3 } },
    { identity: { requestsPerSecond: 3 } },
    { overrides: [{ limit: { requestsPerSecond: 3 }, clients }] },
  ];
  for (const every of told) {
    let limits = limiter(every);
    let all = 0;
    for (let now = 0; now < 10_000; now += 100) {
      all += passed(limits, 'a', 10, now);
      limits = limiter(every, limits);
    }
    assert.ok(all <= 3 + 10 * 3, `${all} by ${JSON.stringify(every)}`);
  }
});

test('a limit that changes goes on with what was used up', () => {
  const clients = { identities: [{ name: 'a' }] };
  const before = limiter({ total: { requestsPerSecond: 9 }, identity: { requestsPerSecond: 4 } });
  assert.equal(passed(before, 'a', 9, 0), 4);
  const more = limiter({ total: { requestsPerSecond: 9 }, identity: { requestsPerSecond: 2 } }, before);
  assert.equal(passed(more, 'a', 9, 0), 0);
  assert.equal(passed(more, 'b', 9, 0), 2);
  const override = limiter({ overrides: [{ limit: { requestsPerSecond: 9 }, clients }] }, more);
  assert.equal(passed(override, 'a', 9, 0), 0);
  const without = limiter({ identity: { requestsPerSecond: 2 } }, override);
  assert.equal(passed(without, 'a', 9, 0), 0);
  assert.equal(passed(without, 'a', 9, 5_000), 2);
});

test('beyond so many clients those are forgotten that have used nothing up, and are looked for once a second', () => {
  const limits = limiter({ identity: { requestsPerSecond: 2 } });
  const kept: number[] = [];
  const ask = (name: string, now: number): void => {
    limits.exceeded(name, now);
    kept.push(limits.clients);
  };
  limits.exceeded('long ago', 0);
  for (let i = 0; i < 9_998; i++) limits.exceeded(`client ${i}`, 5_000);
  ask('the last that fits', 5_000);
  ask('one more: of the others all but one have used something up', 5_000);
  assert.deepEqual(kept, [10_000, 10_000]);
  // Since half a second later all of these are paid for: who looked now would forget them.
  ask('before the next look', 5_999);
  assert.equal(kept.at(-1), 10_001);
  ask('at the next look', 6_000);
  assert.equal(kept.at(-1), 2, 'the two that came last');
  assert.equal(limits.exceeded('before the next look', 6_000), undefined, 'the other half of its second');
  assert.equal(limits.exceeded('before the next look', 6_000), 'identity');
});
