import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { EndpointSlice, Service, SliceEndpoint } from '../api/kubernetes-types.ts';
import { CLUSTER_ID_PROPERTY } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { startFakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { type KubernetesClient, KubernetesError } from '../kubernetes/types.ts';
import { openTestApi, type TestApi } from '../test/testing/test-api.ts';
import type { LinkSettings } from './link-settings.ts';
import { LinkSync } from './link-sync.ts';
import type { LinkReport, MirrorStatus } from './messages.ts';
import type { GatewayView } from './mirror-objects.ts';

const { services, endpointSlices, namespaces, events, clusterProperties } = resources;

/** The fixtures of Linkerd's own table: target `remote`, gateway 198.18.0.127:888. */
const GATEWAY: GatewayView = { addresses: ['198.18.0.127'], port: 888, alive: true };
const IDENTITY = 'spiffe://cluster.local/cluster/remote/ns/isthmus/sa/isthmus-gateway';

/** The cluster of the controller: the API server under test. */
let local: TestApi;
let ns1: string;
let ns2: string;
let mesh: string;
/** The target. */
let remote: FakeApiServer;
let clients: KubernetesClient[];
let sync: LinkSync | undefined;
let reports: LinkReport[];
let mirrors: Map<string, MirrorStatus>;
let waiters: (() => void)[];

before(async () => {
  local = await openTestApi([services, endpointSlices, events]);
  [ns1, ns2, mesh] = await Promise.all([
    local.namespace('ns1'),
    local.namespace('ns2'),
    local.namespace('isthmus'),
  ]);
});
after(() => local.close());
beforeEach(async () => {
  remote = await startFakeApiServer({ checkNamespaces: false });
  clients = [];
  reports = [];
  mirrors = new Map();
  waiters = [];
});
afterEach(async () => {
  await sync?.stop();
  sync = undefined;
  await Promise.all(clients.map((c) => c.close()));
  await remote.stop();
  await local.clear();
});

function settings(over: Partial<LinkSettings> = {}): LinkSettings {
  return {
    target: 'remote',
    targetDomain: 'cluster.local',
    credentialsSecret: 'secret',
    selector: { matchLabels: { 'mirror.linkerd.io/exported': 'true' } },
    excludedLabels: [],
    excludedAnnotations: [],
    gateway: {
      serviceName: 'isthmus-gateway',
      serviceNamespace: 'isthmus',
      addresses: undefined,
      port: undefined,
      identity: IDENTITY,
    },
    probe: { path: '/probe', periodMs: 60_000, timeoutMs: 1000, failureThreshold: 3 },
    ...over,
  };
}

function start(
  over: Partial<LinkSettings> = {},
  gateway: GatewayView = GATEWAY,
  localClient: KubernetesClient = createClient(local.config),
): LinkSync {
  const remoteClient = createClient(remote.config());
  clients.push(localClient, remoteClient);
  sync = new LinkSync({
    settings: settings(over),
    ownClusterId: 'home',
    local: localClient,
    remote: remoteClient,
    link: { name: 'remote', namespace: mesh, uid: 'link-uid' },
    gateway,
    logger: silentLog,
    backoff: { initialMs: 1, maxMs: 20 },
    onReport(report) {
      reports.push(report);
      for (const [key, status] of report.mirrors) {
        if (status === null) mirrors.delete(key);
        else mirrors.set(key, status);
      }
      for (const waiter of waiters.splice(0)) waiter();
    },
  });
  sync.start();
  return sync;
}

/** Resolves once a report leaves `condition` true, and what was written by then is seen. */
async function reported(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => waiters.push(resolve));
  await local.settled();
}

const isSynced = (): boolean => reports.at(-1)?.synced === true;

interface Exported {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ports?: {
    name: string;
    port: number;
    protocol?: 'TCP' | 'UDP';
    appProtocol?: string;
    targetPort?: number;
  }[];
  namespace?: string;
}

function exportService(name: string, over: Exported = {}): Service {
  const { labels = {}, annotations = {}, namespace = ns1 } = over;
  return remote.put(services, {
    metadata: { name, namespace, labels: { 'mirror.linkerd.io/exported': 'true', ...labels }, annotations },
    spec: {
      clusterIP: '10.9.9.9',
      selector: { app: name },
      ports: over.ports ?? [
        { name: 'port1', port: 555, protocol: 'TCP', targetPort: 9000 },
        { name: 'port2', port: 666, protocol: 'TCP' },
      ],
    },
  });
}

function remoteEndpoints(service: string, ready: boolean | undefined, namespace = ns1): void {
  remoteEndpoint(service, namespace, ready === undefined ? undefined : { ready });
}

function remoteEndpoint(service: string, namespace: string, conditions: SliceEndpoint['conditions']): void {
  remote.put(endpointSlices, {
    metadata: { name: `${service}-abc`, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.1.1'], ...(conditions === undefined ? {} : { conditions }) }],
  });
}

const mirrorOf = (name: string, namespace = ns1) => local.find(services, namespace, `${name}-remote`);
const sliceOf = (name: string, namespace = ns1, family = 'ipv4') =>
  local.find(endpointSlices, namespace, `${name}-remote-gateway-${family}`);
const endpointsOf = (slice: EndpointSlice | undefined) =>
  slice && (slice.endpoints ?? []).map((e) => [e.addresses[0], e.conditions?.ready]);

test('an exported service gets its mirror and a slice that leads to the gateway', async () => {
  const exported = exportService('service-one', { labels: { lk: 'lv' }, annotations: { ak: 'av' } });
  remoteEndpoints('service-one', undefined);
  start();
  await reported(isSynced);
  const mirror = mirrorOf('service-one');
  assert.deepEqual(mirror?.metadata?.labels, {
    lk: 'lv',
    'mirror.linkerd.io/mirrored-service': 'true',
    'mirror.linkerd.io/cluster-name': 'remote',
    'app.kubernetes.io/managed-by': 'isthmus-mirror-controller',
  });
  assert.deepEqual(mirror?.metadata?.annotations, {
    ak: 'av',
    'mirror.linkerd.io/remote-svc-fq-name': `service-one.${ns1}.svc.cluster.local`,
    'mirror.linkerd.io/remote-resource-version': exported.metadata?.resourceVersion,
  });
  assert.equal(mirror?.spec?.type, 'ClusterIP');
  assert.equal(mirror.spec.selector, undefined);
  assert.deepEqual(
    mirror.spec.ports?.map(({ name, protocol, port }) => ({ name, protocol, port })),
    [
      { name: 'port1', protocol: 'TCP', port: 555 },
      { name: 'port2', protocol: 'TCP', port: 666 },
    ],
  );
  const slice = sliceOf('service-one');
  assert.deepEqual(endpointsOf(slice), [['198.18.0.127', true]]);
  assert.deepEqual(slice?.ports, [
    { name: 'port1', protocol: 'TCP', port: 888 },
    { name: 'port2', protocol: 'TCP', port: 888 },
  ]);
  assert.deepEqual(slice.metadata?.annotations, {
    'mirror.linkerd.io/remote-svc-fq-name': `service-one.${ns1}.svc.cluster.local`,
    'mirror.linkerd.io/remote-gateway-identity': IDENTITY,
  });
  assert.equal(slice.metadata?.labels?.['kubernetes.io/service-name'], 'service-one-remote');
  assert.equal(
    slice.metadata?.labels?.['endpointslice.kubernetes.io/managed-by'],
    'isthmus-mirror-controller',
  );
  assert.equal(slice.metadata?.ownerReferences?.[0]?.uid, mirror.metadata?.uid);
  assert.equal(mirrors.get(`${ns1}/service-one`)?.problem, undefined);
});

test('labels and annotations follow the copy rules', async () => {
  exportService('svc', {
    labels: {
      keep: '1',
      evil: '2',
      'evil.linkerd/a': '3',
      'mirror.linkerd.io/other': '4',
      'app.kubernetes.io/instance': 'shop',
      'argocd.argoproj.io/instance': 'shop',
      'kustomize.toolkit.fluxcd.io/name': 'shop',
      'service.kubernetes.io/service-proxy-name': 'own',
    },
    annotations: {
      keep: '1',
      evil: '2',
      'evil.linkerd/a': '3',
      'service.kubernetes.io/topology-mode': 'auto',
      'service.kubernetes.io/topology-aware-hints': 'auto',
      'argocd.argoproj.io/tracking-id': 'shop:/Service:shop/svc',
      'meta.helm.sh/release-name': 'shop',
      'config.linkerd.io/opaque-ports': '555',
    },
  });
  const excluded = ['evil', 'evil.linkerd/*', 'config.linkerd.io/*'];
  start({ excludedLabels: excluded, excludedAnnotations: excluded });
  await reported(isSynced);
  const { labels, annotations } = mirrorOf('svc')?.metadata ?? {};
  assert.deepEqual(
    Object.keys(labels ?? {}).filter((k) => !k.startsWith('mirror.linkerd.io/c') && !k.startsWith('app.')),
    ['keep', 'mirror.linkerd.io/mirrored-service'],
  );
  assert.equal(labels?.['mirror.linkerd.io/other'], undefined);
  assert.equal(annotations?.['keep'], '1');
  assert.equal(annotations?.['config.linkerd.io/opaque-ports'], '555');
  // Sorted: API servers need not keep the order of a map, and Kubernetes' own does not.
  const copied = Object.keys(annotations ?? {}).filter((k) => !k.startsWith('mirror.linkerd.io/'));
  assert.deepEqual(copied.toSorted(), ['config.linkerd.io/opaque-ports', 'keep']);
});

for (const [name, selector] of [
  ['no selector', undefined],
  ['a selector for something else', { matchLabels: { other: 'x' } }],
] as const) {
  test(`${name}: nothing is exported`, async () => {
    exportService('svc');
    start({ selector });
    await reported(isSynced);
    assert.deepEqual(local.list(services), []);
  });
}

test('a mirror of the target is never mirrored again', async () => {
  exportService('svc', { labels: { 'mirror.linkerd.io/mirrored-service': 'true' } });
  start();
  await reported(isSynced);
  assert.deepEqual(local.list(services), []);
});

test('changed ports change the mirror and its slice', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  start();
  await reported(isSynced);
  exportService('svc', {
    ports: [
      { name: 'port1', port: 111, appProtocol: 'h2c' },
      { name: 'port2', port: 333 },
    ],
  });
  await local.until(() => sliceOf('svc')?.ports?.[0]?.appProtocol === 'h2c');
  assert.deepEqual(
    mirrorOf('svc')?.spec?.ports?.map((p) => p.port),
    [111, 333],
  );
  assert.deepEqual(
    sliceOf('svc')?.ports?.map((p) => p.port),
    [888, 888],
  );
});

test('without a ready endpoint in the target the slice is empty, for this service alone', async () => {
  exportService('svc');
  exportService('other');
  remoteEndpoints('svc', false);
  remoteEndpoints('other', true);
  start();
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), []);
  assert.deepEqual(endpointsOf(sliceOf('other')), [['198.18.0.127', true]]);
  remoteEndpoints('svc', true);
  await local.until(() => endpointsOf(sliceOf('svc'))?.length === 1);
  remote.remove(endpointSlices, ns1, 'svc-abc');
  await local.until(() => endpointsOf(sliceOf('svc'))?.length === 0);
});

test('an endpoint that is being ended and still answers is one: the gateway sends to it while there is no other', async () => {
  exportService('svc');
  remoteEndpoint('svc', ns1, { ready: false, serving: true, terminating: true });
  start();
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [['198.18.0.127', true]]);
  remoteEndpoint('svc', ns1, { ready: false, serving: false, terminating: true });
  await local.until(() => endpointsOf(sliceOf('svc'))?.length === 0);
});

test('gateway alive, dead, and alive again; a label update keeps what it is', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  const running = start();
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [['198.18.0.127', true]]);
  running.setGateway({ ...GATEWAY, alive: false });
  await local.until(() => endpointsOf(sliceOf('svc'))?.[0]?.[1] === false);
  exportService('svc', { labels: { more: 'labels' } });
  await local.until(() => mirrorOf('svc')?.metadata?.labels?.['more'] === 'labels');
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [['198.18.0.127', false]]);
  running.setGateway(GATEWAY);
  await local.until(() => endpointsOf(sliceOf('svc'))?.[0]?.[1] === true);
  await reported(() => reports.some((r) => r.repairs > 0));
});

test('created while the gateway is dead: not ready until it lives', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  const running = start({}, { ...GATEWAY, alive: false });
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [['198.18.0.127', false]]);
  running.setGateway(GATEWAY);
  await local.until(() => endpointsOf(sliceOf('svc'))?.[0]?.[1] === true);
});

test('a restart keeps the written readiness until the first verdict', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  const first = start({}, { ...GATEWAY, alive: false });
  await reported(isSynced);
  await first.stop();
  reports = [];
  start({}, { ...GATEWAY, alive: undefined });
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [['198.18.0.127', false]]);
});

test('the gateway has addresses of both families', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  const running = start({}, { ...GATEWAY, addresses: ['2001:db8::1', '198.18.0.127', '198.18.0.1'] });
  await reported(isSynced);
  assert.deepEqual(endpointsOf(sliceOf('svc')), [
    ['198.18.0.1', true],
    ['198.18.0.127', true],
  ]);
  assert.deepEqual(endpointsOf(sliceOf('svc', ns1, 'ipv6')), [['2001:db8::1', true]]);
  running.setGateway(GATEWAY);
  await local.until(() => sliceOf('svc', ns1, 'ipv6') === undefined);
});

test('a deleted, and a no longer exported service lose their mirrors, in their namespace alone', async () => {
  for (const namespace of [ns1, ns2]) {
    exportService('svc', { namespace });
    exportService('kept', { namespace });
  }
  start();
  await reported(isSynced);
  remote.remove(services, ns1, 'svc');
  await local.until(() => mirrorOf('svc') === undefined);
  assert.notEqual(mirrorOf('svc', ns2), undefined);
  assert.equal(sliceOf('svc'), undefined);
  remote.put(services, { metadata: { name: 'kept', namespace: ns1 }, spec: { ports: [{ port: 1 }] } });
  await local.until(() => mirrorOf('kept') === undefined);
  await reported(() => !mirrors.has(`${ns1}/kept`) && !mirrors.has(`${ns1}/svc`));
  assert.notEqual(mirrorOf('kept', ns2), undefined);
});

test('what went in the target while nobody looked is removed at the start', async () => {
  exportService('gone');
  exportService('stays');
  const first = start();
  await reported(isSynced);
  await first.stop();
  remote.remove(services, ns1, 'gone');
  reports = [];
  start();
  await reported(isSynced);
  assert.equal(mirrorOf('gone'), undefined);
  assert.equal(sliceOf('gone'), undefined);
  assert.notEqual(mirrorOf('stays'), undefined);
});

test('a missing namespace is not made; it is told, and heals when it appears', async () => {
  const later = local.named('later');
  exportService('svc', { namespace: later });
  start();
  await reported(() => mirrors.get(`${later}/svc`)?.problem?.reason === 'MissingNamespace');
  await local.until(() => local.list(events).length === 1);
  const [event] = local.list(events);
  assert.equal(event?.reason, 'ServiceMirroringSkipped');
  assert.equal(event.type, 'Normal');
  assert.match(event.message ?? '', new RegExp(`${later}/svc: the namespace "${later}" does not exist`));
  assert.equal(event.involvedObject.uid, 'link-uid');
  await local.namespace('later');
  await reported(() => mirrors.get(`${later}/svc`)?.problem === undefined);
  assert.notEqual(mirrorOf('svc', later), undefined);
});

test('a name whose mirror passes 63 characters is refused with a clear message', async () => {
  const long = 'a'.repeat(57);
  exportService(long);
  exportService('b'.repeat(56));
  start();
  await reported(() => mirrors.size === 2);
  const problem = mirrors.get(`${ns1}/${long}`)?.problem;
  assert.equal(problem?.reason, 'InvalidService');
  assert.match(problem?.message ?? '', /has 64 characters, and a Service may have 63/);
  assert.deepEqual(
    local.list(services).map((s) => s.metadata?.name),
    [`${'b'.repeat(56)}-remote`],
  );
});

test("a user's own service with the mirror's name is never touched", async () => {
  const own: Service = {
    metadata: { name: 'svc-remote', namespace: ns1, labels: { mine: 'yes' } },
    spec: { ports: [{ port: 1 }] },
  };
  const before = await local.put(services, own);
  exportService('svc');
  start();
  await reported(() => mirrors.get(`${ns1}/svc`)?.problem?.reason === 'NameConflict');
  assert.equal(mirrorOf('svc')?.metadata?.resourceVersion, before.metadata?.resourceVersion);
  remote.remove(services, ns1, 'svc');
  await reported(() => !mirrors.has(`${ns1}/svc`));
  assert.equal(mirrorOf('svc')?.metadata?.resourceVersion, before.metadata?.resourceVersion);
});

test("what another program mirrored under Linkerd's labels is not touched either", async () => {
  const labels = { 'mirror.linkerd.io/mirrored-service': 'true', 'mirror.linkerd.io/cluster-name': 'remote' };
  await local.put(services, {
    metadata: { name: 'theirs-remote', namespace: ns1, labels },
    spec: { ports: [{ port: 1 }] },
  });
  start();
  await reported(isSynced);
  assert.notEqual(mirrorOf('theirs'), undefined);
});

test('local drift is repaired: a deleted or changed mirror, a deleted or changed slice', async () => {
  exportService('svc', { labels: { lk: 'lv' } });
  remoteEndpoints('svc', true);
  start();
  await reported(isSynced);
  const wanted = structuredClone(mirrorOf('svc'));
  const drifted = structuredClone(wanted);
  assert.ok(drifted?.metadata !== undefined && drifted.spec !== undefined);
  drifted.metadata.labels = { ...drifted.metadata.labels, lk: 'changed', extra: 'x' };
  drifted.spec = { ...drifted.spec, ports: [{ port: 1 }], selector: { app: 'trap' } };
  await local.put(services, drifted);
  await local.until(() => mirrorOf('svc')?.metadata?.labels?.['lk'] === 'lv');
  assert.deepEqual(mirrorOf('svc')?.spec, wanted?.spec);
  assert.deepEqual(mirrorOf('svc')?.metadata?.labels, wanted?.metadata?.labels);
  await local.remove(endpointSlices, ns1, 'svc-remote-gateway-ipv4');
  await local.until(() => sliceOf('svc') !== undefined);
  const slice = structuredClone(sliceOf('svc'));
  assert.ok(slice !== undefined);
  await local.put(endpointSlices, { ...slice, endpoints: [{ addresses: ['198.19.0.9'] }] });
  await local.until(() => endpointsOf(sliceOf('svc'))?.[0]?.[0] === '198.18.0.127');
  await local.remove(services, ns1, 'svc-remote');
  await local.until(
    () =>
      mirrorOf('svc') !== undefined &&
      sliceOf('svc')?.metadata?.ownerReferences?.[0]?.uid === mirrorOf('svc')?.metadata?.uid,
  );
});

test('a target that is away at the start: nothing is made or removed, the gateway still counts, and it heals', async () => {
  exportService('svc');
  remoteEndpoints('svc', true);
  const first = start();
  await reported(isSynced);
  await first.stop();
  await remote.stop();
  reports = [];
  const running = start({}, { ...GATEWAY, alive: undefined });
  await reported(() => reports.at(-1)?.api.kind === 'failing');
  assert.equal(reports.at(-1)?.synced, false);
  assert.notEqual(mirrorOf('svc'), undefined);
  running.setGateway({ ...GATEWAY, alive: false });
  await local.until(() => endpointsOf(sliceOf('svc'))?.[0]?.[1] === false);
  await remote.start();
  exportService('new');
  await reported(isSynced);
  assert.notEqual(mirrorOf('new'), undefined);
});

test('a target that vanishes and comes back: mirrors stay, changes made meanwhile arrive', async () => {
  exportService('svc');
  start();
  await reported(isSynced);
  await remote.stop();
  await reported(() => reports.at(-1)?.api.kind === 'failing');
  assert.notEqual(mirrorOf('svc'), undefined);
  remote.remove(services, ns1, 'svc');
  exportService('other');
  remote.storage.compact();
  await remote.start();
  await reported(() => isSynced() && mirrors.has(`${ns1}/other`));
  assert.equal(mirrorOf('svc'), undefined);
  assert.notEqual(mirrorOf('other'), undefined);
});

test('a local API that restarts loses nothing', async () => {
  const restarting = await startFakeApiServer({ checkNamespaces: false });
  try {
    restarting.put(namespaces, { metadata: { name: ns1 } });
    exportService('svc');
    const mirror = (name: string) => restarting.find(services, ns1, `${name}-remote`);
    start({}, GATEWAY, createClient(restarting.config()));
    await reported(isSynced);
    assert.notEqual(mirror('svc'), undefined);
    await restarting.stop();
    exportService('other');
    await restarting.start();
    await restarting.until(() => mirror('other') !== undefined);
    await sync?.stop();
  } finally {
    await restarting.stop();
  }
});

test('a credential that the target does not know is told as 401', async () => {
  await remote.stop();
  remote = await startFakeApiServer({ tokens: new Set(['good']) });
  start();
  await reported(() => {
    const api = reports.at(-1)?.api;
    return api?.kind === 'failing' && api.code === 401;
  });
});

test('credentials that lead to this very cluster, or to another than the Link names, mirror nothing', async () => {
  exportService('svc');
  remote.put(clusterProperties, { metadata: { name: CLUSTER_ID_PROPERTY }, spec: { value: 'home' } });
  const first = start();
  await reported(() => reports.at(-1)?.identity.kind === 'self');
  await first.stop();
  remote.put(clusterProperties, { metadata: { name: CLUSTER_ID_PROPERTY }, spec: { value: 'third' } });
  reports = [];
  start();
  await reported(() => reports.at(-1)?.identity.kind === 'another');
  assert.deepEqual(reports.at(-1)?.identity, { kind: 'another', clusterId: 'third' });
  assert.deepEqual(local.list(services), []);
});

test("the gateway's Service is followed: addresses, host names, port", async () => {
  const gateway = (ingress: { ip?: string; hostname?: string }[]): Service => ({
    metadata: { name: 'isthmus-gateway', namespace: 'isthmus' },
    spec: {
      ports: [
        { name: 'other', port: 1 },
        { name: 'mc-gateway', port: 4143 },
      ],
    },
    status: { loadBalancer: { ingress } },
  });
  remote.put(services, gateway([{ ip: '198.18.0.1' }, { hostname: 'gw.example' }]));
  start();
  await reported(() => reports.at(-1)?.gatewayService?.addresses.length === 2);
  assert.deepEqual(reports.at(-1)?.gatewayService, { addresses: ['198.18.0.1', 'gw.example'], port: 4143 });
  remote.put(services, gateway([{ ip: '198.18.0.9' }]));
  await reported(() => reports.at(-1)?.gatewayService?.addresses[0] === '198.18.0.9');
});

test('a gateway without a load balancer is reached at its nodes, by the node port', async () => {
  const gateway = (ingress: { ip: string }[]): Service => ({
    metadata: {
      name: 'isthmus-gateway',
      namespace: 'isthmus',
      annotations: { 'isthmus.dev/gateway-nodes': '198.18.0.1,198.18.0.2' },
    },
    spec: { ports: [{ name: 'mc-gateway', port: 4143, nodePort: 30_143 }] },
    status: { loadBalancer: { ingress } },
  });
  remote.put(services, gateway([]));
  start();
  await reported(() => reports.at(-1)?.gatewayService?.addresses.length === 2);
  assert.deepEqual(reports.at(-1)?.gatewayService, { addresses: ['198.18.0.1', '198.18.0.2'], port: 30_143 });
  remote.put(services, gateway([{ ip: '198.51.100.1' }]));
  await reported(() => reports.at(-1)?.gatewayService?.port === 4143);
  assert.deepEqual(reports.at(-1)?.gatewayService?.addresses, ['198.51.100.1']);
});

test('a refused write is told for its service alone, and tried again', async () => {
  exportService('svc', { namespace: ns2 });
  exportService('fine');
  let refused = ns2;
  start(
    {},
    GATEWAY,
    refusingIn(() => refused, createClient(local.config)),
  );
  await reported(() => mirrors.get(`${ns2}/svc`)?.problem?.reason === 'Error');
  assert.match(mirrors.get(`${ns2}/svc`)?.problem?.message ?? '', /quota/);
  await reported(() => mirrors.has(`${ns1}/fine`));
  assert.equal(mirrors.get(`${ns1}/fine`)?.problem, undefined);
  refused = '';
  await reported(isSynced);
  assert.equal(mirrors.get(`${ns2}/svc`)?.problem, undefined);
});

/** An API in which nothing can be made in one namespace. */
function refusingIn(namespace: () => string, client: KubernetesClient): KubernetesClient {
  return new Proxy(client, {
    get(target, property: keyof KubernetesClient) {
      if (property !== 'create') return target[property].bind(target);
      return (...args: Parameters<KubernetesClient['create']>) =>
        args[1].metadata?.namespace === namespace()
          ? Promise.reject(new KubernetesError('exceeded quota', 422, 'Invalid'))
          : target.create(...args);
    },
  });
}
