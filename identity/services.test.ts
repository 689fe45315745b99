import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Registry } from 'prom-client';
import {
  type TrustBundle as BundleMessage,
  type TrustBundleAck,
  TrustBundleAckSchema,
} from '../api/proto/gen/isthmus/control_pb.js';
import { CertifyRequestSchema } from '../api/proto/gen/linkerd/identity_pb.js';
import { dnsIdentity, label, object, spiffeId } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { resources } from '../kubernetes/resources.ts';
import { type FakeApiServer, startFakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import {
  type Clock,
  GrpcError,
  grpcStatus,
  type PeerIdentity,
  systemClock,
  writeCsr,
} from '../workload-identity/index.ts';
import { createIdentityServices, createIssuer, createTrustAnchor, type IdentityServices } from './index.ts';
import { sequenceOf } from './bundle-watch.ts';

const MESH = 'isthmus';
const settings = { clusterId: 'east', trustDomain: 'cluster.local', meshNamespace: MESH };
const web = { ...settings, namespace: 'shop', serviceAccount: 'web' };
const webIdentity = dnsIdentity(web);
const anchor = await createTrustAnchor();
const issuer = await createIssuer({ anchor, ...settings });
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Tokens that the API server knows: whose they are and for which audiences. */
const tokens: Record<string, { username: string; audiences: string[] } | undefined> = {
  'web-token': { username: 'system:serviceaccount:shop:web', audiences: ['identity.l5d.io'] },
  'api-token': { username: 'system:serviceaccount:shop:web', audiences: ['https://kubernetes.default.svc'] },
  'user-token': { username: 'kubernetes-admin', audiences: ['identity.l5d.io'] },
};

/** TokenReview as an API server does it; the fake one has none. */
function withTokenReview(client: KubernetesClient, down: () => boolean): KubernetesClient {
  return new Proxy(client, {
    get(target, property: keyof KubernetesClient) {
      if (property !== 'raw') return target[property].bind(target);
      return (_method: string, _path: string, review: { spec: { token: string; audiences: string[] } }) => {
        if (down()) return Promise.reject(new Error('connection refused'));
        const known = tokens[review.spec.token];
        const audiences =
          known?.audiences.filter((audience) => review.spec.audiences.includes(audience)) ?? [];
        if (known === undefined || audiences.length === 0) {
          const error = known === undefined ? 'token has expired' : 'token audiences are invalid';
          return Promise.resolve({ status: { authenticated: false, error } });
        }
        return Promise.resolve({
          status: { authenticated: true, audiences, user: { username: known.username } },
        });
      };
    },
  });
}

interface World {
  api: FakeApiServer;
  services: IdentityServices;
  registry: Registry;
  setDown: (down: boolean) => void;
}

async function world(
  options: { issuer?: typeof issuer | 'none'; clock?: Clock; replica?: string } = {},
): Promise<World> {
  const api = await startFakeApiServer();
  cleanups.push(() => api.stop());
  for (const name of [MESH, 'shop', 'plain', 'default'])
    api.put(resources.namespaces, { metadata: { name } });
  api.put(resources.trustBundles, {
    metadata: { name: object.trustBundle },
    spec: { anchors: [anchor.certificate] },
  });
  if (options.issuer !== 'none') putIssuer(api, options.issuer ?? issuer);
  api.put(resources.pods, { metadata: { name: 'cp-1', namespace: MESH }, spec: { containers: [] } });
  let down = false;
  const client = createClient(api.config());
  cleanups.push(() => client.close());
  const registry = new Registry();
  const services = createIdentityServices({
    client: withTokenReview(client, () => down),
    settings,
    replica: options.replica ?? 'cp-1',
    registry,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  cleanups.push(() => services.stop());
  return { api, services, registry, setDown: (value) => (down = value) };
}

function putIssuer(api: FakeApiServer, made: typeof issuer): void {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  api.put(resources.secrets, {
    metadata: { name: object.issuerSecret, namespace: MESH },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(made.certificate),
      'tls.key': base64(made.key),
      'ca.crt': base64(anchor.certificate),
    },
  });
}

/** Looks again at each turn of the event loop: what is waited for comes over a socket. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

async function ready(options: Parameters<typeof world>[0] = {}): Promise<World> {
  const made = await world(options);
  await eventually(() => made.services.notReady() === undefined);
  return made;
}

function request(change: { identity?: string; token?: string; csr?: Uint8Array } = {}) {
  const { identity = webIdentity, token = 'web-token', csr = writeCsr(keys, webIdentity) } = change;
  return create(CertifyRequestSchema, {
    identity,
    token: Buffer.from(token),
    certificateSigningRequest: csr,
  });
}

function refusedWith(code: number, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof GrpcError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.details, message);
    return true;
  };
}

describe('Certify', () => {
  test('answers the owner of a token with a leaf, its issuer and its end', async () => {
    const { services, api } = await ready();
    const answer = await services.certify(request());
    const leaf = new X509Certificate(answer.leafCertificate);
    assert.equal(leaf.subjectAltName, `DNS:${webIdentity}, URI:${spiffeId(web)}`);
    assert.deepEqual(
      answer.intermediateCertificates.map((der) => new X509Certificate(der).fingerprint256),
      [new X509Certificate(issuer.certificate).fingerprint256],
    );
    assert.equal(Number(answer.validUntil?.seconds) * 1000, leaf.validToDate.getTime());
    await api.until(() =>
      api.list(resources.events).some((event) => event.reason === 'IssuedLeafCertificate'),
    );
    const [event] = api.list(resources.events);
    assert.equal(event?.involvedObject.name, 'web');
    assert.equal(event?.metadata?.namespace, 'shop');
  });

  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const other = dnsIdentity({ ...web, serviceAccount: 'admin' });
  const broken = writeCsr(keys, webIdentity);
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  const { invalidArgument, unauthenticated, permissionDenied } = grpcStatus;
  const cases: [string, Parameters<typeof request>[0], number, RegExp][] = [
    ['no identity', { identity: '' }, invalidArgument, /names no identity/],
    ['no token', { token: '' }, invalidArgument, /no token/],
    ['no request', { csr: new Uint8Array() }, invalidArgument, /no certificate signing request/],
    ['a request that is garbage', { csr: Buffer.from('garbage') }, invalidArgument, /not acceptable/],
    ['a request of which one bit was changed', { csr: broken }, invalidArgument, /not acceptable/],
    ['a key that is not P-256', { csr: writeCsr(p384, webIdentity) }, invalidArgument, /P-256/],
    ["a request for another's identity", { csr: writeCsr(keys, other) }, invalidArgument, /is for admin\./],
    [
      "another's identity in both places",
      { identity: other, csr: writeCsr(keys, other) },
      permissionDenied,
      /the token is that of web\./,
    ],
    ['an expired token', { token: 'gone' }, unauthenticated, /token has expired/],
    ['a token for another audience', { token: 'api-token' }, unauthenticated, /audiences are invalid/],
    ["a person's token", { token: 'user-token' }, unauthenticated, /not that of a ServiceAccount/],
  ];
  test('refuses what is not right, each with its code', async (t) => {
    const { services } = await ready();
    for (const [name, change, code, message] of cases) {
      await t.test(name, () => assert.rejects(services.certify(request(change)), refusedWith(code, message)));
    }
  });

  test('never shows a token in what it answers', async () => {
    const { services } = await ready();
    await assert.rejects(services.certify(request({ token: 'secret-token' })), (error: Error) => {
      assert.doesNotMatch(error.message, /secret-token/);
      return true;
    });
  });

  test('is Unavailable while the API server does not answer, and while there is no issuer', async () => {
    const { services, setDown } = await ready();
    setDown(true);
    await assert.rejects(
      services.certify(request()),
      refusedWith(grpcStatus.unavailable, /could not be reviewed/),
    );
    setDown(false);
    await services.certify(request());

    const without = await world({ issuer: 'none' });
    await assert.rejects(
      without.services.certify(request()),
      refusedWith(grpcStatus.unavailable, /no issuer yet/),
    );
    putIssuer(without.api, issuer);
    await eventually(() => without.services.notReady() === undefined);
    await without.services.certify(request());
  });

  test('is FailedPrecondition once the issuer has expired', async () => {
    let now = Date.now();
    const clock: Clock = { now: () => now, after: (ms, callback) => systemClock.after(ms, callback) };
    const { services } = await ready({ clock });
    now += 366 * 86_400_000;
    await assert.rejects(
      services.certify(request()),
      refusedWith(grpcStatus.failedPrecondition, /is not valid/),
    );
    assert.match(services.notReady() ?? '', /expired/);
  });

  test('gives the control plane its own certificate without a token', async () => {
    const { services } = await ready();
    const own = { ...settings, namespace: MESH, serviceAccount: 'isthmus-control-plane' };
    const issued = await services.certifier({
      identity: dnsIdentity(own),
      csr: writeCsr(keys, dnsIdentity(own)),
    });
    assert.match(
      new X509Certificate(issued.leaf).subjectAltName ?? '',
      /ns\/isthmus\/sa\/isthmus-control-plane/,
    );
    await assert.rejects(services.certifier({ identity: webIdentity, csr: writeCsr(keys, webIdentity) }));
  });
});

describe('the issuer', () => {
  test('is replaced without a restart; a bad one keeps the old, and is told by an event and a metric', async () => {
    const { services, api, registry } = await ready();
    const stranger = await createIssuer({ anchor: await createTrustAnchor(), ...settings });
    putIssuer(api, stranger);
    await api.until(() =>
      api.list(resources.events).some((event) => event.reason === 'IssuerValidationFailed'),
    );
    await services.certify(request());
    assert.match(await registry.metrics(), /isthmus_identity_issuer_rejected 1/);

    const next = await createIssuer({ anchor, ...settings });
    putIssuer(api, next);
    await api.until(() => api.list(resources.events).some((event) => event.reason === 'IssuerUpdated'));
    const answer = await services.certify(request());
    const leaf = new X509Certificate(answer.leafCertificate);
    assert.ok(leaf.verify(new X509Certificate(next.certificate).publicKey));
    assert.match(await registry.metrics(), /isthmus_identity_issuer_rejected 0/);
  });

  test('shows in metrics how long it and the anchors live', async () => {
    const { registry } = await ready();
    const text = await registry.metrics();
    const seconds = Number(/^issuer_cert_ttl_seconds (\d+)/m.exec(text)?.[1]);
    assert.ok(seconds > 364 * 86_400 && seconds <= 365 * 86_400);
    assert.match(text, /^trust_anchor_cert_ttl_seconds\{fingerprint="[0-9A-F:]+"\} 3\d{8}/m);
  });
});

/** A stream as gRPC would carry it, with both ends in the test's hands. */
class TestStream {
  readonly sent: BundleMessage[] = [];
  failure: GrpcError | undefined;
  full = false;
  #onAck: (ack: TrustBundleAck) => void = () => {};
  #onClose: () => void = () => {};
  #onDrain: () => void = () => {};

  readonly acks = { onMessage: (listener: (ack: TrustBundleAck) => void) => (this.#onAck = listener) };
  readonly stream = {
    write: (bundle: BundleMessage) => {
      this.sent.push(bundle);
      return !this.full;
    },
    onDrain: (listener: () => void) => (this.#onDrain = listener),
    onClose: (listener: () => void) => (this.#onClose = listener),
    fail: (error: GrpcError) => (this.failure = error),
  };

  ack(sequence: bigint, change: { namespace?: string; workload?: string; error?: string } = {}): void {
    this.#onAck(create(TrustBundleAckSchema, { sequence, namespace: 'shop', workload: 'web-1', ...change }));
  }

  drain(): void {
    this.full = false;
    this.#onDrain();
  }

  close(): void {
    this.#onClose();
  }
}

function peerOf(names: typeof web): PeerIdentity {
  return {
    dnsName: dnsIdentity(names),
    spiffeId: spiffeId(names),
    workload: names,
    fingerprint: '00',
    notAfter: Date.now() + 1_000,
  };
}

describe('trust bundles', () => {
  const meshedPod = {
    metadata: { name: 'web-1', namespace: 'shop', labels: { [label.controlPlaneNs]: MESH } },
    spec: { containers: [], serviceAccountName: 'web' },
    status: { phase: 'Running' as const },
  };

  test('are streamed with every change, and acknowledgements reach the status', async () => {
    const { api, services } = await ready();
    api.put(resources.pods, meshedPod);
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf(web));
    stream.ack(0n);
    const first = stream.sent[0]?.sequence ?? 0n;
    assert.ok(first > 0n);
    const status = () => api.find(resources.trustBundles, undefined, object.trustBundle)?.status;
    const acknowledged = () => status()?.conditions?.find((condition) => condition.type === 'Acknowledged');
    await api.until(() => acknowledged()?.status === 'False');
    assert.deepEqual(status()?.acknowledgements, [
      { replica: 'cp-1', sequence: Number(first), acknowledged: 0, pending: 1 },
    ]);
    stream.ack(first);
    await api.until(() => acknowledged()?.status === 'True');
    assert.match(acknowledged()?.message ?? '', /1 of 1 meshed pods/);
    assert.equal(status()?.sequence, Number(first));

    const next = await createTrustAnchor();
    api.put(resources.trustBundles, {
      metadata: { name: object.trustBundle },
      spec: { anchors: [anchor.certificate, next.certificate] },
    });
    await eventually(() => stream.sent.length === 2);
    assert.equal(stream.sent[1]?.anchors.length, 2);
    assert.ok((stream.sent[1]?.sequence ?? 0n) > first);
    await api.until(() => acknowledged()?.status === 'False');
  });

  test('are not acknowledged before a pod that never connected, and the gateway, have them too', async () => {
    const { api, services } = await ready();
    api.put(resources.pods, meshedPod);
    api.put(resources.pods, { ...meshedPod, metadata: { ...meshedPod.metadata, name: 'web-2' } });
    api.put(resources.pods, {
      metadata: { name: 'gateway-1', namespace: MESH },
      spec: { containers: [], serviceAccountName: 'isthmus-gateway' },
    });
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf(web));
    const stranger = new TestStream();
    services.syncTrustBundles(stranger.acks, stranger.stream, peerOf(web));
    stream.ack(stream.sent[0]?.sequence ?? 0n);
    stranger.ack(stream.sent[0]?.sequence ?? 0n, { workload: 'no-such-pod' });
    const condition = () =>
      api
        .find(resources.trustBundles, undefined, object.trustBundle)
        ?.status?.conditions?.find(({ type }) => type === 'Acknowledged');
    await api.until(() => condition()?.message?.startsWith('1 of 3 meshed pods') === true);
    assert.equal(condition()?.status, 'False');
  });

  test('that hold garbage are not streamed; the former stays', async () => {
    const { api, services } = await ready();
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf(web));
    api.put(resources.trustBundles, {
      metadata: { name: object.trustBundle },
      spec: { anchors: ['garbage'] },
    });
    const invalid = () =>
      api
        .find(resources.trustBundles, undefined, object.trustBundle)
        ?.status?.conditions?.some((condition) => condition.reason === 'Invalid') === true;
    await api.until(invalid);
    assert.equal(stream.sent.length, 1);
    await services.certify(request());
  });

  test('wait for a stream that is full, and then only the newest is sent', async () => {
    const { api, services } = await ready();
    const stream = new TestStream();
    stream.full = true;
    services.syncTrustBundles(stream.acks, stream.stream, peerOf(web));
    let changes = 0;
    services.onBundle(() => changes++);
    for (let i = 0; i < 3; i++) {
      const next = await createTrustAnchor();
      api.put(resources.trustBundles, {
        metadata: { name: object.trustBundle },
        spec: { anchors: [anchor.certificate, next.certificate] },
      });
      await eventually(() => changes === i + 1);
    }
    assert.equal(stream.sent.length, 1);
    stream.drain();
    assert.equal(stream.sent.length, 2);
    assert.equal(stream.sent[1]?.sequence, services.bundle?.sequence);
  });

  test('are refused to strangers, to other clusters, and to who speaks for others', async () => {
    const { services, api } = await ready();
    api.put(resources.pods, meshedPod);
    const open = (peer: PeerIdentity | undefined): TestStream => {
      const stream = new TestStream();
      services.syncTrustBundles(stream.acks, stream.stream, peer);
      return stream;
    };
    assert.equal(open(undefined).failure?.code, grpcStatus.unauthenticated);
    assert.equal(open(peerOf({ ...web, clusterId: 'west' })).failure?.code, grpcStatus.permissionDenied);
    const otherNamespace = open(peerOf(web));
    otherNamespace.ack(1n, { namespace: 'bank' });
    assert.equal(otherNamespace.failure?.code, grpcStatus.permissionDenied);
    const unnamed = open(peerOf(web));
    unnamed.ack(1n, { workload: '' });
    assert.equal(unnamed.failure?.code, grpcStatus.invalidArgument);
  });

  test('have a sequence that also grows when the object is made anew', () => {
    const made = (creationTimestamp: string, generation: number) =>
      sequenceOf({ metadata: { creationTimestamp, generation }, spec: { anchors: [] } });
    assert.ok(made('2026-01-01T00:00:00Z', 2) > made('2026-01-01T00:00:00Z', 1));
    assert.ok(made('2026-01-02T00:00:00Z', 1) > made('2026-01-01T00:00:00Z', 50));
  });

  test('leave no entry of a replica that is gone', async () => {
    const { api } = await ready();
    const status = () => api.find(resources.trustBundles, undefined, object.trustBundle)?.status;
    await api.until(() => status()?.acknowledgements?.length === 1);
    api.put(resources.pods, { metadata: { name: 'cp-2', namespace: MESH }, spec: { containers: [] } });
    const client = createClient(api.config());
    cleanups.push(() => client.close());
    const { sequence = 0 } = status() ?? {};
    await client.apply(
      resources.trustBundles,
      {
        metadata: { name: object.trustBundle },
        status: { acknowledgements: [{ replica: 'cp-gone', sequence, acknowledged: 5, pending: 0 }] },
      } as never,
      { fieldManager: 'isthmus-control-plane-cp-gone', subresource: 'status', force: true },
    );
    await api.until(() => status()?.acknowledgements?.every((entry) => entry.replica !== 'cp-gone') === true);
  });
});

describe('trust roots', () => {
  const rootsIn = (api: FakeApiServer, namespace: string): string | undefined =>
    api.find(resources.configMaps, namespace, object.trustRootsConfigMap)?.data?.[object.trustRootsKey];

  test('are kept where the mesh is, restored when changed or deleted, and nowhere else', async () => {
    const { api } = await ready();
    await api.until(() => rootsIn(api, MESH) !== undefined);
    api.put(resources.pods, {
      metadata: { name: 'web-1', namespace: 'shop', labels: { [label.controlPlaneNs]: MESH } },
      spec: { containers: [] },
    });
    await api.until(() => rootsIn(api, 'shop') !== undefined);
    assert.equal(
      new X509Certificate(rootsIn(api, 'shop') ?? '').fingerprint256,
      new X509Certificate(anchor.certificate).fingerprint256,
    );
    const good = rootsIn(api, 'shop');
    api.put(resources.configMaps, {
      metadata: { name: object.trustRootsConfigMap, namespace: 'shop' },
      data: { [object.trustRootsKey]: 'drift' },
    });
    await api.until(() => rootsIn(api, 'shop') === good);
    api.remove(resources.configMaps, 'shop', object.trustRootsConfigMap);
    await api.until(() => rootsIn(api, 'shop') === good);
    assert.equal(rootsIn(api, 'plain'), undefined);
  });

  test('come to a namespace as soon as it asks for injection', async () => {
    const { api } = await ready();
    api.put(resources.namespaces, {
      metadata: { name: 'asking', annotations: { 'linkerd.io/inject': 'enabled' } },
    });
    await api.until(() => rootsIn(api, 'asking') !== undefined);
  });
});
