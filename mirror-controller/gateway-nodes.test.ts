import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Pod, Service, ServicePort } from '../api/kubernetes-types.ts';
import { createClient } from '../kubernetes/client.ts';
import { systemClock } from '../kubernetes/clock.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { startFakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { GatewayNodes, withNodes } from './gateway-nodes.ts';

const NODES = 'isthmus.dev/gateway-nodes';
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const PORT: ServicePort = { name: 'mc-gateway', port: 4143, nodePort: 30_143 };

async function run(t: TestContext): Promise<FakeApiServer> {
  const api = await startFakeApiServer({ checkNamespaces: false });
  const client = createClient(api.config());
  const stopping = new AbortController();
  const nodes = new GatewayNodes({
    client,
    meshNamespace: 'isthmus',
    clock: systemClock,
    random: Math.random,
    logger: silentLog,
    backoff: { initialMs: 1, maxMs: 20 },
  });
  const running = nodes.run(stopping.signal);
  t.after(async () => {
    stopping.abort();
    await running;
    await client.close();
    await api.stop();
  });
  return api;
}

function putService(api: FakeApiServer, over: Partial<Service> = {}): void {
  api.put(resources.services, {
    metadata: { name: 'isthmus-gateway', namespace: 'isthmus', annotations: { [LAST_APPLIED]: '{}' } },
    spec: { type: 'LoadBalancer', ports: [PORT] },
    ...over,
  });
}

function putPod(api: FakeApiServer, name: string, hostIP: string | undefined, more = {}): void {
  api.put(resources.pods, {
    metadata: { name, namespace: 'isthmus', labels: { 'isthmus.dev/component': 'isthmus-gateway' } },
    status: { phase: 'Running', ...(hostIP === undefined ? {} : { hostIP }), ...more },
  });
}

const annotations = (api: FakeApiServer): Record<string, string> =>
  api.find(resources.services, 'isthmus', 'isthmus-gateway')?.metadata?.annotations ?? {};
const told = (api: FakeApiServer): string | undefined => annotations(api)[NODES];

test('the nodes of the gateway pods are told, of both families, and followed; others are not', async (t) => {
  const api = await run(t);
  putService(api);
  putPod(api, 'gateway-1', '192.0.2.2', { hostIPs: [{ ip: '192.0.2.2' }, { ip: '2001:db8::2' }] });
  putPod(api, 'gateway-2', '192.0.2.1');
  putPod(api, 'gateway-3', undefined, { phase: 'Pending' });
  putPod(api, 'gateway-4', '192.0.2.9', { phase: 'Failed' });
  api.put(resources.pods, {
    metadata: { name: 'other', namespace: 'isthmus' },
    status: { phase: 'Running', hostIP: '192.0.2.8' },
  });
  await api.until(() => told(api) === '192.0.2.1,192.0.2.2,2001:db8::2');
  api.remove(resources.pods, 'isthmus', 'gateway-1');
  await api.until(() => told(api) === '192.0.2.1');
  api.remove(resources.pods, 'isthmus', 'gateway-2');
  putPod(api, 'gateway-5', '192.0.2.5');
  await api.until(() => told(api) === '192.0.2.5');
  assert.equal(annotations(api)[LAST_APPLIED], '{}', 'the notes of others stay');
});

test('a gateway that runs nowhere keeps the nodes it had', () => {
  const service: Service = {
    metadata: { name: 'isthmus-gateway', annotations: { [NODES]: '192.0.2.1' } },
    spec: { type: 'NodePort', ports: [PORT] },
  };
  const pending: Pod = { metadata: { name: 'gateway-2' }, status: { phase: 'Pending' } };
  assert.equal(withNodes(service, [pending]), undefined);
  const placed: Pod = { ...pending, status: { phase: 'Pending', hostIP: '192.0.2.2' } };
  assert.equal(withNodes(service, [placed])?.metadata?.annotations?.[NODES], '192.0.2.2');
});

test('a load balancer that gives an address takes the place of the nodes', async (t) => {
  const api = await run(t);
  putService(api);
  putPod(api, 'gateway-1', '192.0.2.1');
  await api.until(() => told(api) !== undefined);
  putService(api, {
    metadata: {
      name: 'isthmus-gateway',
      namespace: 'isthmus',
      annotations: { ...annotations(api) },
    },
    status: { loadBalancer: { ingress: [{ ip: '198.51.100.1' }] } },
  });
  await api.until(() => told(api) === undefined);
});

test('without a node port there is nothing to reach at a node', () => {
  const service: Service = {
    metadata: { name: 'isthmus-gateway' },
    spec: { type: 'ClusterIP', ports: [{ name: 'mc-gateway', port: 4143 }] },
  };
  const pod: Pod = { metadata: { name: 'gateway-1' }, status: { phase: 'Running', hostIP: '192.0.2.1' } };
  assert.equal(withNodes(service, [pod]), undefined);
});

test('a write that fails is tried again', async (t) => {
  const api = await run(t);
  let refused = 0;
  api.fault = (request) =>
    request.method === 'PUT' && refused++ === 0
      ? { kind: 'status', code: 409, reason: 'Conflict' }
      : undefined;
  putService(api);
  putPod(api, 'gateway-1', '192.0.2.1');
  await api.until(() => told(api) === '192.0.2.1');
  assert.equal(refused, 2);
});
