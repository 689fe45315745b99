import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methods } from '../../api/proto/methods.ts';
import { compileOutboundPolicy } from './outbound-rules.ts';
import { msOf } from './told-values.ts';
import { compileProfile } from './profile-rules.ts';
import { backOffMs } from './retry-policy.ts';
import { DEFAULT_BUDGET } from './retry-budget.ts';

const DAY_MS = 86_400_000;
const FOREVER = { seconds: 2n ** 63n - 1n, nanos: 999_999_999 };
const NEGATIVE = { seconds: -1n, nanos: -5 };

test('a time is never negative, and never more than a timer can be set for', () => {
  const { timeout } = methods.getProfile.answer({ routes: [{ timeout: FOREVER }] }).routes[0] ?? {};
  assert.equal(msOf(timeout), 24 * DAY_MS);
  const [route] = methods.getProfile.answer({ routes: [{ timeout: NEGATIVE }] }).routes;
  assert.equal(msOf(route?.timeout), 0);
});

for (const ratio of [Number.NaN, Number.POSITIVE_INFINITY, -1])
  test(`a retry budget of ${ratio} is the usual one: the bound holds`, () => {
    const rules = compileProfile(
      methods.getProfile.answer({
        routes: [{ isRetryable: true, condition: { match: { case: 'all', value: {} } } }],
        retryBudget: { retryRatio: ratio, minRetriesPerSecond: 10, ttl: { seconds: 10n } },
      }),
      'web.shop:80',
    );
    const budget = rules?.budgets.of('profile', undefined);
    assert.ok(budget !== undefined);
    assert.equal(budget.config.ratio, DEFAULT_BUDGET.ratio);
    let withdrawn = 0;
    while (withdrawn < 1_000 && budget.withdraw(0)) withdrawn++;
    assert.equal(withdrawn, 100);
  });

for (const jitterRatio of [Number.NaN, Number.NEGATIVE_INFINITY, -3])
  test(`a back-off with a jitter of ${jitterRatio} waits`, () => {
    const rules = compileOutboundPolicy(
      methods.watchOutbound.answer({
        protocol: {
          kind: {
            case: 'http1',
            value: {
              failureAccrual: {
                kind: {
                  case: 'consecutiveFailures',
                  value: {
                    maxFailures: 3,
                    backoff: { minBackoff: { seconds: 2n }, maxBackoff: FOREVER, jitterRatio },
                  },
                },
              },
            },
          },
        },
      }),
    );
    const backOff = rules.accrual?.backOff;
    assert.ok(backOff !== undefined);
    for (const attempt of [1, 10, 1_000]) {
      const delay = backOffMs(backOff, attempt, () => 0.9);
      assert.ok(delay >= 2_000 && delay <= 24 * DAY_MS, `${delay} ms before attempt ${attempt}`);
    }
  });
