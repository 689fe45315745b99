import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { DestinationProfileSchema } from '../../api/proto/gen/linkerd/destination_pb.js';
import { compileProfile } from './profile-rules.ts';
import type { OutboundRules } from './outbound-rules.ts';
import { Budgets } from './retry-budget.ts';

const CONFIG = { ratio: 0.2, minPerSecond: 1, ttlMs: 10_000 };

/** How many retries a budget gives at one moment. */
function withdrawn(budget: { withdraw(now: number): boolean }, now: number): number {
  let n = 0;
  while (budget.withdraw(now)) n++;
  return n;
}

test('a fifth of the requests, and so many a second; what follows goes on with what was taken', () => {
  const before = new Budgets();
  const budget = before.of('a', undefined, CONFIG);
  for (let i = 0; i < 50; i++) budget.deposit(0);
  assert.equal(withdrawn(budget, 0), 20);
  const after = new Budgets();
  assert.equal(withdrawn(after.of('a', before, CONFIG), 1_000), 0);
  assert.equal(withdrawn(after.of('a', before, { ...CONFIG, ratio: 0.4 }), 1_000), 0, 'one for each key');
  assert.equal(withdrawn(after.of('b', before, CONFIG), 1_000), 10);
  const twice = new Budgets().of('a', after, { ...CONFIG, ratio: 0.4 });
  assert.equal(withdrawn(twice, 1_000), 10, 'another ratio counts from what was asked and taken');
});

test('a profile that changes each second has one budget', () => {
  let rules: OutboundRules | undefined;
  let all = 0;
  for (let now = 0; now < 5_000; now += 1_000) {
    const profile = create(DestinationProfileSchema, {
      routes: [{ isRetryable: true, timeout: { seconds: BigInt(now + 1), nanos: 0 } }],
    });
    rules = compileProfile(profile, 'web.shop:80', rules);
    assert.ok(rules !== undefined);
    all += withdrawn(rules.budgets.of('profile', undefined), now);
  }
  assert.equal(all, 100);
});
