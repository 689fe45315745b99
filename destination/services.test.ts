import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import { Registry } from 'prom-client';

import type { ExportedServices } from '../api/proto/gen/isthmus/control_pb.js';
import {
  type DestinationProfile,
  GetDestinationSchema,
  type Update,
} from '../api/proto/gen/linkerd/destination_pb.js';
import type { Pod, Service } from '../api/kubernetes-types.ts';
import { component, label } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { resources } from '../kubernetes/resources.ts';
import { openTestApi, type TestApi } from '../test/testing/test-api.ts';
import { createDestinationServices, type DestinationServices } from './index.ts';
import { ipText } from './ip-address.ts';
import { settings as defaults, slice, TestStream } from './testing/fixture.ts';

let api: TestApi;
let shop: string;
let mesh: string;
const cleanups: (() => unknown)[] = [];

before(async () => {
  api = await openTestApi([resources.services, resources.pods, resources.endpointSlices]);
  shop = await api.namespace('shop');
  mesh = await api.namespace('isthmus');
  await api.client.create(resources.serviceAccounts, { metadata: { name: 'web', namespace: shop } });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await api.clear();
});
after(() => api.close());

async function start(): Promise<DestinationServices> {
  const client = createClient(api.config);
  cleanups.push(() => client.close());
  const settings = { ...defaults, meshNamespace: mesh };
  const services = createDestinationServices({ client, settings, registry: new Registry() });
  cleanups.push(() => services.stop());
  await services.synced;
  return services;
}

async function putService(
  name: string,
  more: Partial<NonNullable<Service['metadata']>> = {},
  spec: Service['spec'] = {},
): Promise<void> {
  await api.put(resources.services, {
    metadata: { name, namespace: shop, ...more },
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  });
}

async function putSlice(of: string, endpoints: Parameters<typeof slice>[1]): Promise<void> {
  const { metadata, endpoints: made, ...rest } = slice(of, endpoints);
  const inShop = (made ?? []).map((endpoint) =>
    endpoint.targetRef === undefined
      ? endpoint
      : { ...endpoint, targetRef: { ...endpoint.targetRef, namespace: shop } },
  );
  await api.put(resources.endpointSlices, {
    ...rest,
    metadata: { ...metadata, namespace: shop },
    endpoints: inShop,
  });
}

/** A running pod with a sidecar that nothing starts: no scheduler has this name. */
async function putMeshedPod(name: string, ip: string): Promise<void> {
  const image = 'test.invalid/app:1';
  const pod: Pod = {
    metadata: { name, namespace: shop, labels: { [label.controlPlaneNs]: mesh } },
    spec: {
      schedulerName: 'nobody',
      serviceAccountName: 'web',
      automountServiceAccountToken: false,
      initContainers: [{ name: component.proxy, image, restartPolicy: 'Always' }],
      containers: [{ name: 'app', image, ports: [{ name: 'http', containerPort: 8080 }] }],
    },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
  const { status, ...unstarted } = pod;
  const made = await api.client.create(resources.pods, unstarted);
  await api.put(resources.pods, { ...made, ...(status === undefined ? {} : { status }) });
}

/** The next message of a stream. */
async function next<M>(stream: TestStream<M>): Promise<M> {
  await api.until(() => stream.messages.length > 0);
  const message = stream.messages.shift();
  assert.ok(message !== undefined);
  return message;
}

function endpointsOf(services: DestinationServices, path: string, contextToken = ''): TestStream<Update> {
  const stream = new TestStream<Update>();
  cleanups.push(() => stream.close());
  services.destination.get(create(GetDestinationSchema, { path, contextToken }), stream);
  return stream;
}

test("a Service's endpoints come with the identity of their pods, and change as the slices do", async () => {
  await putService('web');
  await putMeshedPod('a', '198.18.0.1');
  await putSlice('web', [{ ip: '198.18.0.1', pod: 'a' }]);
  const stream = endpointsOf(await start(), `web.${shop}.svc.cluster.local:80`);
  const { update: first } = await next(stream);
  const identity = first.case === 'add' ? first.value.addrs[0]?.tlsIdentity?.serverName?.name : undefined;
  assert.equal(identity, `web.${shop}.serviceaccount.identity.${mesh}.cluster.local`);
  await putSlice('web', [{ ip: '198.18.0.1', pod: 'a' }, { ip: '198.18.0.2' }]);
  assert.equal((await next(stream)).update.case, 'add');
  await putSlice('web', [{ ip: '198.18.0.2', ready: false }]);
  assert.equal((await next(stream)).update.case, 'noEndpoints');
});

test('a slice that has lost all endpoints, and one that never had any, are a Service without endpoints', async () => {
  await putService('web');
  await putSlice('web', []);
  const stream = endpointsOf(await start(), `web.${shop}.svc.cluster.local:80`);
  const { update } = await next(stream);
  assert.equal(update.case === 'noEndpoints' && update.value.exists, true);
  await putSlice('web', [{ ip: '198.18.0.1' }]);
  assert.equal((await next(stream)).update.case, 'add');
  await putSlice('web', []);
  assert.equal((await next(stream)).update.case, 'noEndpoints');
});

test('a Service that comes, and goes again, is told as such', async () => {
  const stream = endpointsOf(await start(), `late.${shop}.svc.cluster.local:80`);
  const exists = async (): Promise<boolean | undefined> => {
    const { update } = await next(stream);
    return update.case === 'noEndpoints' ? update.value.exists : undefined;
  };
  assert.equal(await exists(), false);
  await putService('late');
  assert.equal(await exists(), true);
  await api.remove(resources.services, shop, 'late');
  assert.equal(await exists(), false);
});

test('a Service of internalTrafficPolicy Local has the endpoints of the client’s node', async () => {
  await putService('web', {}, { internalTrafficPolicy: 'Local' });
  await putSlice('web', [
    { ip: '198.18.0.1', node: 'n1' },
    { ip: '198.18.0.2', node: 'n2' },
  ]);
  const services = await start();
  const on = (nodeName: string) =>
    endpointsOf(services, `web.${shop}.svc.cluster.local:80`, JSON.stringify({ nodeName }));
  const [first, third] = [on('n1'), on('n3')];
  const { update } = await next(first);
  assert.deepEqual(update.case === 'add' && update.value.addrs.map(({ addr }) => ipText(addr?.ip)), [
    '198.18.0.1',
  ]);
  assert.equal((await next(third)).update.case, 'noEndpoints');
  await putService('web', {}, { internalTrafficPolicy: 'Cluster' });
  assert.equal((await next(third)).update.case, 'add');
});

test('the profile of an address is that of the Service which the server gave it to', async () => {
  await putService('web', { annotations: { 'config.linkerd.io/opaque-ports': '80' } });
  const services = await start();
  const address = api.find(resources.services, shop, 'web')?.spec?.clusterIP ?? '';
  assert.match(address, /^\d+\.\d+\.\d+\.\d+$/);
  const stream = new TestStream<DestinationProfile>();
  cleanups.push(() => stream.close());
  services.destination.getProfile(create(GetDestinationSchema, { path: `${address}:80` }), stream);
  const profile = await next(stream);
  assert.equal(profile.fullyQualifiedName, `web.${shop}.svc.cluster.local`);
  assert.equal(profile.opaqueProtocol, true);
  await putService('web');
  assert.equal((await next(stream)).opaqueProtocol, false);
});

test('what is exported is told to the gateway, and what no longer is goes', async () => {
  await putService('web', { labels: { [label.exported]: 'true' } });
  await putService('private');
  const services = await start();
  const stream = new TestStream<ExportedServices>();
  cleanups.push(() => stream.close());
  const spiffeId = `spiffe://cluster.local/cluster/east/ns/${mesh}/sa/${component.gateway}`;
  services.exports.watch(
    { dnsName: 'x', spiffeId, workload: undefined, fingerprint: '00', notAfter: 0 },
    stream,
  );
  // A server that is used by others may export services of theirs.
  const own = ({ services: exported }: ExportedServices): string[] =>
    exported.filter(({ namespace }) => namespace === shop).map(({ name }) => name);
  assert.deepEqual(own(await next(stream)), ['web']);
  await putService('web');
  assert.deepEqual(own(await next(stream)), []);
});
