import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type TrustBundle as BundleMessage,
  type TrustBundleAck,
  TrustBundleAckSchema,
} from '../api/proto/gen/isthmus/control_pb.js';
import { component, object } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { resources } from '../kubernetes/resources.ts';
import { type GrpcError, grpcStatus, type PeerIdentity } from '../workload-identity/index.ts';
import { peerIdentity } from '../workload-identity/testing/peer-identity.ts';
import { sequenceOf } from './bundle-watch.ts';
import { createTrustAnchor } from './index.ts';
import {
  type IdentitySuite,
  openIdentitySuite,
  openWorld,
  putBundle,
  putMeshedPod,
  putPod,
  type World,
} from './testing/world.ts';

let suite: IdentitySuite;
const cleanups: (() => unknown)[] = [];

before(async () => {
  suite = await openIdentitySuite();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await suite.api.clear();
});
after(() => suite.api.close());

async function ready(): Promise<World> {
  const world = await openWorld(suite, cleanups);
  await suite.api.until(() => world.services.notReady() === undefined);
  return world;
}

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
    this.#onAck(
      create(TrustBundleAckSchema, { sequence, namespace: suite.shop, workload: 'web-1', ...change }),
    );
  }

  drain(): void {
    this.full = false;
    this.#onDrain();
  }

  close(): void {
    this.#onClose();
  }
}

function peerOf(names: IdentitySuite['web'] = suite.web): PeerIdentity {
  return peerIdentity(names, Date.now() + 1_000);
}

describe('trust bundles', () => {
  test('are streamed with every change, and acknowledgements reach the status', async () => {
    const { services } = await ready();
    await putMeshedPod(suite, 'web-1');
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf());
    stream.ack(0n);
    const first = stream.sent[0]?.sequence ?? 0n;
    assert.ok(first > 0n);
    const status = () => suite.api.find(resources.trustBundles, undefined, object.trustBundle)?.status;
    const acknowledged = () => status()?.conditions?.find((condition) => condition.type === 'Acknowledged');
    // The first report may be from before the stream was seen.
    await suite.api.until(() => status()?.acknowledgements?.[0]?.pending === 1);
    await suite.api.until(() => acknowledged()?.status === 'False');
    assert.deepEqual(status()?.acknowledgements, [
      { replica: 'cp-1', sequence: Number(first), acknowledged: 0, pending: 1 },
    ]);
    stream.ack(first);
    await suite.api.until(() => acknowledged()?.status === 'True');
    assert.match(acknowledged()?.message ?? '', /1 of 1 meshed pods/);
    assert.equal(status()?.sequence, Number(first));

    const next = await createTrustAnchor();
    await putBundle(suite, [suite.anchor.certificate, next.certificate]);
    await suite.api.until(() => stream.sent.length === 2);
    assert.equal(stream.sent[1]?.anchors.length, 2);
    assert.ok((stream.sent[1]?.sequence ?? 0n) > first);
    await suite.api.until(() => acknowledged()?.status === 'False');
  });

  test('are not acknowledged before a pod that never connected, and the gateway, have them too', async () => {
    const { services } = await ready();
    await putMeshedPod(suite, 'web-1');
    await putMeshedPod(suite, 'web-2');
    await putPod(suite, suite.mesh, 'gateway-1', component.gateway);
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf());
    const stranger = new TestStream();
    services.syncTrustBundles(stranger.acks, stranger.stream, peerOf());
    stream.ack(stream.sent[0]?.sequence ?? 0n);
    stranger.ack(stream.sent[0]?.sequence ?? 0n, { workload: 'no-such-pod' });
    const condition = () =>
      suite.api
        .find(resources.trustBundles, undefined, object.trustBundle)
        ?.status?.conditions?.find(({ type }) => type === 'Acknowledged');
    await suite.api.until(() => condition()?.message?.startsWith('1 of 3 meshed pods') === true);
    assert.equal(condition()?.status, 'False');
  });

  test('that hold garbage are not streamed; the former stays', async () => {
    const { services } = await ready();
    const stream = new TestStream();
    services.syncTrustBundles(stream.acks, stream.stream, peerOf());
    await putBundle(suite, ['garbage']);
    const invalid = () =>
      suite.api
        .find(resources.trustBundles, undefined, object.trustBundle)
        ?.status?.conditions?.some((condition) => condition.reason === 'Invalid') === true;
    await suite.api.until(invalid);
    assert.equal(stream.sent.length, 1);
    assert.equal(services.bundle?.anchors.length, 1);
    assert.equal(services.notReady(), undefined);
  });

  test('wait for a stream that is full, and then only the newest is sent', async () => {
    const { services } = await ready();
    const stream = new TestStream();
    stream.full = true;
    services.syncTrustBundles(stream.acks, stream.stream, peerOf());
    let changes = 0;
    services.onBundle(() => changes++);
    for (let i = 0; i < 3; i++) {
      const next = await createTrustAnchor();
      await putBundle(suite, [suite.anchor.certificate, next.certificate]);
      await suite.api.until(() => changes === i + 1);
    }
    assert.equal(stream.sent.length, 1);
    stream.drain();
    assert.equal(stream.sent.length, 2);
    assert.equal(stream.sent[1]?.sequence, services.bundle?.sequence);
  });

  test('are refused to strangers, to other clusters, and to who speaks for others', async () => {
    const { services } = await ready();
    await putMeshedPod(suite, 'web-1');
    const open = (peer: PeerIdentity | undefined): TestStream => {
      const stream = new TestStream();
      services.syncTrustBundles(stream.acks, stream.stream, peer);
      return stream;
    };
    assert.equal(open(undefined).failure?.code, grpcStatus.unauthenticated);
    assert.equal(
      open(peerOf({ ...suite.web, clusterId: 'west' })).failure?.code,
      grpcStatus.permissionDenied,
    );
    const otherNamespace = open(peerOf());
    otherNamespace.ack(1n, { namespace: 'bank' });
    assert.equal(otherNamespace.failure?.code, grpcStatus.permissionDenied);
    const unnamed = open(peerOf());
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
    await ready();
    const status = () => suite.api.find(resources.trustBundles, undefined, object.trustBundle)?.status;
    await suite.api.until(() => status()?.acknowledgements?.length === 1);
    await putPod(suite, suite.mesh, 'cp-2', component.controlPlane);
    const client = createClient(suite.api.config);
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
    await suite.api.until(
      () => status()?.acknowledgements?.every((entry) => entry.replica !== 'cp-gone') === true,
    );
  });
});

describe('trust roots', () => {
  const rootsIn = (namespace: string): string | undefined =>
    suite.api.find(resources.configMaps, namespace, object.trustRootsConfigMap)?.data?.[object.trustRootsKey];

  test('are kept where the mesh is, restored when changed or deleted, and nowhere else', async () => {
    await ready();
    await suite.api.until(() => rootsIn(suite.mesh) !== undefined);
    await putMeshedPod(suite, 'web-1');
    await suite.api.until(() => rootsIn(suite.shop) !== undefined);
    assert.equal(
      new X509Certificate(rootsIn(suite.shop) ?? '').fingerprint256,
      new X509Certificate(suite.anchor.certificate).fingerprint256,
    );
    const good = rootsIn(suite.shop);
    await suite.api.put(resources.configMaps, {
      metadata: { name: object.trustRootsConfigMap, namespace: suite.shop },
      data: { [object.trustRootsKey]: 'drift' },
    });
    await suite.api.until(() => rootsIn(suite.shop) === good);
    await suite.api.remove(resources.configMaps, suite.shop, object.trustRootsConfigMap);
    await suite.api.until(() => rootsIn(suite.shop) === good);
    assert.equal(rootsIn(suite.plain), undefined);
  });

  test('come to a namespace as soon as it asks for injection', async () => {
    await ready();
    const asking = await suite.api.namespace('asking', { annotations: { 'linkerd.io/inject': 'enabled' } });
    await suite.api.until(() => rootsIn(asking) !== undefined);
  });
});
