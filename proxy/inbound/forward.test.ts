import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../errors.ts';
import { InFlight } from '../in-flight.ts';
import { Exchange } from '../message/message.ts';
import { defaultPortPolicy, type PortPolicy } from '../policy/inbound-policy.ts';
import { HttpMetrics } from '../telemetry/http-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { loopbackApps } from '../testing/loopback-apps.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Authorizer, AuthzMetrics } from './authorize.ts';
import { Forward } from './forward.ts';

const PORT = 8080;

/** The way to one port, whose policy is not known before `tell`. */
function makeForward() {
  const registry = new Registry();
  const timers = new TimerWheel(() => 0);
  let current: PortPolicy | undefined;
  const waiting: (() => void)[] = [];
  const policy = {
    number: PORT,
    probed: false,
    get current() {
      return current;
    },
    policyFor: () => current,
    whenKnown: (callback: () => void) => void waiting.push(callback),
  };
  const subject = { address: '10.0.0.1', authenticated: false, identity: '', spiffeId: '' };
  const authorizer = new Authorizer(
    policy,
    subject,
    new AuthzMetrics(registry),
    new HttpMetrics(registry),
    {},
  );
  const apps = loopbackApps(registry, timers);
  const forward = new Forward(apps, PORT, authorizer, new InFlight(100_000), timers);
  const told: string[] = [];
  return {
    told,
    ask: (): Exchange => {
      const x = new Exchange({ ...NOBODY, responseReset: (_x, cause) => void told.push(cause.code) });
      forward.requestHead(x, requestHead(), true);
      return x;
    },
    leave: (x: Exchange) => forward.requestReset(x, causes.clientGone),
    tell: (policyNow: PortPolicy): void => {
      current = policyNow;
      for (const known of waiting.splice(0)) known();
    },
  };
}

test('a thousand requests wait for the policy; one more is refused, until one of them leaves', () => {
  const { ask, leave, tell, told } = makeForward();
  const first = ask();
  for (let i = 1; i < 1_000; i++) ask();
  assert.deepEqual(told, []);
  ask();
  assert.deepEqual(told, ['overloaded']);
  leave(first);
  ask();
  assert.deepEqual(told, ['overloaded']);
  tell(defaultPortPolicy('deny', [], { opaque: false, probes: [] }));
  assert.deepEqual(told, ['overloaded', ...Array.from({ length: 1_000 }, () => 'unauthorized')]);
});
