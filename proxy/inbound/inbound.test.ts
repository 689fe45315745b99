import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import { peerIdentity } from '../../workload-identity/testing/peer-identity.ts';
import { InboundPolicies } from '../control/inbound-policies.ts';
import { InFlight } from '../in-flight.ts';
import { Exchange } from '../message/message.ts';
import { defaultPortPolicy } from '../policy/inbound-policy.ts';
import { ControlMetrics } from '../telemetry/control-metrics.ts';
import { HttpMetrics } from '../telemetry/http-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { FakeControlPlane } from '../testing/mesh/fake-control-plane.ts';
import { loopbackApps } from '../testing/loopback-apps.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import { AuthzMetrics } from './authorize.ts';
import { Inbound } from './inbound.ts';

const OWN = {
  trustDomain: 'mesh.test',
  clusterId: 'east',
  meshNamespace: 'isthmus',
  namespace: 'shop',
  serviceAccount: 'web',
};

test('of one connection the ways to 256 ports are kept; with one more all are made anew', (t) => {
  const registry = new Registry();
  const timers = new TimerWheel(() => 0);
  const policies = new InboundPolicies({
    channel: new FakeControlPlane().channel(),
    workload: '{}',
    own: () => ({ opaque: false, probes: [] }),
    fallback: (own) => defaultPortPolicy('deny', [], own),
    clock: new ManualClock(0),
    random: () => 0.5,
    metrics: new ControlMetrics(registry, () => 0).cells('policy'),
  });
  t.after(() => policies.stop());
  const apps = loopbackApps(registry, timers);
  const inbound = new Inbound({
    own: OWN,
    podIp: '127.0.0.1',
    ports: { inbound: 4143, outbound: 4140, admin: 4191 },
    policies,
    apps,
    http: new HttpMetrics(registry),
    authz: new AuthzMetrics(registry),
    timers,
    deadlines: timers,
    inFlight: new InFlight(1),
    observers: undefined,
    now: () => 0,
  });
  const route = inbound.isthmus({ peer: peerIdentity(OWN), address: '10.0.0.1', port: 50_000 });
  const wayTo = (port: number) =>
    route(new Exchange(NOBODY), requestHead({ fields: [[':isthmus-port', String(port)]] }));
  const first = wayTo(20_000);
  for (let port = 20_001; port < 20_256; port++) assert.notEqual(wayTo(port), first);
  assert.equal(wayTo(20_000), first);
  wayTo(20_256);
  assert.notEqual(wayTo(20_000), first);
});
