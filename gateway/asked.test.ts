import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthzMetrics } from '../proxy/index.ts';
import { HttpMetrics } from '../proxy/telemetry/http-metrics.ts';
import { Registry } from '../proxy/telemetry/registry.ts';
import { peerIdentity } from '../workload-identity/testing/peer-identity.ts';
import { Asked } from './asked.ts';

test('of one client the cells of 256 targets are kept; with one more all are made anew', () => {
  const registry = new Registry();
  const web = {
    trustDomain: 'mesh.test',
    clusterId: 'east',
    meshNamespace: 'isthmus',
    namespace: 'shop',
    serviceAccount: 'web',
  };
  const asked = new Asked(
    { peer: peerIdentity(web), address: '10.0.0.1', port: 4_711 },
    undefined,
    'spiffe://east/gateway',
    new HttpMetrics(registry),
    new AuthzMetrics(registry),
  );
  const first = asked.allowed('t0', false);
  for (let i = 1; i < 256; i++) asked.allowed(`t${i}`, false);
  assert.equal(asked.allowed('t0', false), first);
  asked.allowed('t256', false);
  assert.notEqual(asked.allowed('t0', false), first);
});
