import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import { InFlight } from '../in-flight.ts';
import { Exchange } from '../message/message.ts';
import { defaultRules } from '../route/outbound-rules.ts';
import { HttpMetrics } from '../telemetry/http-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { RouteMetrics } from '../telemetry/route-metrics.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Balance } from './balance.ts';
import { TargetMetrics } from './target-metrics.ts';

/** A target of which nothing is known yet. */
function makeBalance() {
  const registry = new Registry();
  const timers = new TimerWheel(() => 0);
  const metrics = new TargetMetrics('web.shop:80', {
    http: new HttpMetrics(registry),
    routes: new RouteMetrics(registry),
    endpoints: registry.gauge('endpoints', 'endpoints'),
  });
  const balance = new Balance({
    reach: () => assert.fail('there is no endpoint'),
    late() {},
    release() {},
    relabelled() {},
    metrics,
    failFastMs: 3_000,
    inFlight: new InFlight(100_000),
    timers,
    deadlines: timers,
    clock: new ManualClock(0),
    now: () => 0,
    random: () => 0.5,
  });
  const told: string[] = [];
  const head = requestHead();
  const ask = (): void => {
    const x = new Exchange({ ...NOBODY, responseReset: (_x, cause) => void told.push(cause.code) });
    balance.requestHead(x, head, true);
  };
  return { balance, ask, told };
}

test('where no policy says how many, ten thousand requests wait for an endpoint, and one more is refused', () => {
  const { balance, ask, told } = makeBalance();
  for (let i = 0; i < 10_000; i++) ask();
  assert.deepEqual(told, []);
  ask();
  assert.deepEqual(told, ['overloaded']);
  balance.close();
  assert.equal(told.length, 10_001);
});

test('as many wait as the policy says', () => {
  const { balance, ask, told } = makeBalance();
  balance.configure({ ...defaultRules(), queueCapacity: 2 });
  ask();
  ask();
  assert.deepEqual(told, []);
  ask();
  assert.deepEqual(told, ['overloaded']);
  balance.close();
});
