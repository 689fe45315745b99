import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import {
  type DestinationProfile,
  GetDestinationSchema,
  type Update,
} from '../api/proto/gen/linkerd/destination_pb.js';
import type { ServicePort } from '../api/kubernetes-types.ts';
import { annotation } from '../api/names.ts';
import { createDestinationService } from './destination-service.ts';
import { outboundPolicy } from './outbound-policy.ts';
import { namespace, pod, service, settings, slice, testDeps, TestStream } from './testing/fixture.ts';

/** What is said of `web:80`: by its profile, of its one endpoint (a pod's port 8080), and by its policy. */
function told(
  ports: ServicePort[],
  more: { service?: Record<string, string>; pod?: Record<string, string>; podPort?: number } = {},
) {
  const { views } = testDeps();
  const { state } = views;
  state.setNamespace('shop', namespace('shop'));
  state.setService('shop/web', service('web', ports, { annotations: more.service ?? {} }));
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations: more.pod ?? {} } }));
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'a' }], { port: more.podPort ?? 8080 }));
  const destination = createDestinationService({ ...testDeps(), views }, settings);
  const [profiles, updates] = [new TestStream<DestinationProfile>(), new TestStream<Update>()];
  const request = create(GetDestinationSchema, { path: 'web.shop.svc:80' });
  destination.getProfile(request, profiles);
  destination.get(request, updates);
  const [update] = updates.take();
  const [endpoint] = update?.update.case === 'add' ? update.update.value.addrs : [];
  const target = { kind: 'service', namespace: 'shop', name: 'web', port: 80, certain: true } as const;
  const policy = views.once((cluster) => outboundPolicy(target, undefined, cluster, settings));
  return [
    profiles.take()[0]?.opaqueProtocol,
    endpoint?.protocolHint?.protocol.case,
    policy.kind === 'policy' ? policy.policy.protocol?.kind.case : undefined,
  ];
}

const OPAQUE = [true, 'opaque', 'opaque'];
const HTTP = [false, 'h2', 'detect'];

function port(appProtocol?: string): ServicePort {
  return { name: 'http', port: 80, ...(appProtocol === undefined ? {} : { appProtocol }) };
}

for (const [appProtocol, expected] of [
  ['linkerd.io/opaque', OPAQUE],
  ['Linkerd.io/TCP', OPAQUE],
  ['https', OPAQUE],
  ['kubernetes.io/wss', OPAQUE],
  ['example.com/own', OPAQUE],
  ['http', HTTP],
  ['HTTP2', HTTP],
  ['grpc', HTTP],
  ['kubernetes.io/h2c', HTTP],
  ['kubernetes.io/ws', HTTP],
  ['', HTTP],
  [undefined, HTTP],
] as const) {
  test(`appProtocol ${appProtocol}: ${expected === OPAQUE ? 'bytes as they come' : 'looked at'}`, () => {
    assert.deepEqual(told([port(appProtocol)]), expected);
  });
}

test('appProtocol goes before lists of opaque ports: the Service’s, and the mesh’s for the pod', () => {
  const listed = { service: { [annotation.opaquePorts]: '80' }, podPort: 3306 };
  assert.deepEqual(told([port()], listed), OPAQUE);
  assert.deepEqual(told([port('http')], listed), HTTP);
});

test('a pod that names its port as opaque has its way', () => {
  const marked = { pod: { [annotation.opaquePorts]: '8080' } };
  assert.deepEqual(told([port('http')], marked), [false, 'opaque', 'detect']);
});

test('a port of UDP of the same number says nothing of TCP', () => {
  const udp: ServicePort = { name: 'dns', port: 80, protocol: 'UDP', appProtocol: 'dns' };
  assert.deepEqual(told([udp, port()]), HTTP);
  const named = { service: { [annotation.opaquePorts]: 'dns' } };
  assert.deepEqual(told([udp, port()], named), HTTP);
});
