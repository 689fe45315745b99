import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ExportedServices } from '../api/proto/gen/isthmus/control_pb.js';
import { label } from '../api/names.ts';
import { grpcStatus, type PeerIdentity } from '../workload-identity/index.ts';
import { createExportsService } from './exports.ts';
import { service, settings, testDeps, TestStream } from './testing/fixture.ts';

const EXPORTED = { labels: { [label.exported]: 'true' } };

function peer(spiffeId: string | undefined): PeerIdentity {
  return { dnsName: 'x', spiffeId, workload: undefined, fingerprint: '00', notAfter: 0 };
}

const GATEWAY = peer('spiffe://cluster.local/cluster/east/ns/isthmus/sa/isthmus-gateway');

function brief({ services }: ExportedServices): string[] {
  return services.map(
    ({ namespace, name, ports, mirror }) =>
      `${namespace}/${name} ${ports.join(',')}${mirror ? ' mirror' : ''}`,
  );
}

test('the gateway is told of what is exported and of mirrors, whole, at each change', () => {
  const deps = testDeps();
  const exports = createExportsService(deps, settings);
  const { state } = deps.views;
  state.setService('shop/web', service('web', [{ port: 80 }, { port: 53, protocol: 'UDP' }], EXPORTED));
  state.setService('shop/private', service('private'));
  state.setService('shop/no', service('no', undefined, { labels: { [label.exported]: 'false' } }));
  state.setService(
    'shop/outside',
    service('outside', undefined, { ...EXPORTED, spec: { type: 'ExternalName' } }),
  );
  const stream = new TestStream<ExportedServices>();
  exports.watch(GATEWAY, stream);
  assert.deepEqual(stream.take().map(brief), [['shop/web 80']]);
  // A mirror with the label of an export is a mirror: what came from another cluster is not passed on.
  const mirror = { labels: { [label.mirroredService]: 'true', [label.exported]: 'true' } };
  state.setService('shop/api-west', service('api-west', undefined, mirror));
  deps.flush();
  assert.deepEqual(stream.take().map(brief), [['shop/api-west 80 mirror', 'shop/web 80']]);
  state.setService('shop/private', service('private', [{ port: 81 }]));
  deps.flush();
  assert.deepEqual(stream.take(), []);
  state.setService('shop/web', service('web'));
  deps.flush();
  assert.deepEqual(stream.take().map(brief), [['shop/api-west 80 mirror']]);
});

const others: [who: string, caller: PeerIdentity | undefined, code: number][] = [
  ['nobody', undefined, grpcStatus.unauthenticated],
  ['a sidecar', peer('spiffe://cluster.local/cluster/east/ns/shop/sa/web'), grpcStatus.permissionDenied],
  [
    "another cluster's gateway",
    peer('spiffe://cluster.local/cluster/west/ns/isthmus/sa/isthmus-gateway'),
    grpcStatus.permissionDenied,
  ],
  [
    "a gateway's name in another namespace",
    peer('spiffe://cluster.local/cluster/east/ns/shop/sa/isthmus-gateway'),
    grpcStatus.permissionDenied,
  ],
  ['a Linkerd workload', peer(undefined), grpcStatus.permissionDenied],
];

for (const [who, caller, code] of others) {
  test(`${who} is not told what is exported`, () => {
    const exports = createExportsService(testDeps(), settings);
    const stream = new TestStream<ExportedServices>();
    assert.throws(() => exports.watch(caller, stream), { code });
    assert.deepEqual(stream.messages, []);
  });
}
