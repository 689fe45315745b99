import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import {
  type DestinationProfile,
  GetDestinationSchema,
  type Update,
  type WeightedAddr,
} from '../api/proto/gen/linkerd/destination_pb.js';
import { annotation, component, label, redirectEnv } from '../api/names.ts';
import { grpcStatus } from '../workload-identity/index.ts';
import { createDestinationService } from './destination-service.ts';
import { ipText } from './ip-address.ts';
import { STALL_LIMIT_MS } from './stream-view.ts';
import {
  mirrorSlice,
  namespace,
  pod,
  service,
  settings,
  slice,
  testDeps,
  TestStream,
} from './testing/fixture.ts';

const CONTEXT = '{"ns":"shop","pod":"client-1","nodeName":"n1"}';

function setUp() {
  const deps = testDeps();
  const destination = createDestinationService(deps, settings);
  deps.views.state.setNamespace('shop', namespace('shop'));
  return {
    ...deps,
    state: deps.views.state,
    get: (path: string) => {
      const stream = new TestStream<Update>();
      destination.get(create(GetDestinationSchema, { path, contextToken: CONTEXT }), stream);
      return stream;
    },
    profile: (path: string) => {
      const stream = new TestStream<DestinationProfile>();
      destination.getProfile(create(GetDestinationSchema, { path, contextToken: CONTEXT }), stream);
      return stream;
    },
  };
}

/** Updates in short: `+10.0.0.1:80`, `-10.0.0.1:80`, `none(exists)`. */
function brief(updates: Update[]): string[] {
  return updates.flatMap(({ update }) => {
    switch (update.case) {
      case 'add':
        return update.value.addrs.map(({ addr }) => `+${ipText(addr?.ip)}:${addr?.port}`);
      case 'remove':
        return update.value.addrs.map((addr) => `-${ipText(addr.ip)}:${addr.port}`);
      case 'noEndpoints':
        return [`none(${update.value.exists})`];
      case undefined:
        return ['nothing'];
    }
    return [];
  });
}

function added(updates: Update[]): WeightedAddr {
  const [first] = updates;
  assert.equal(first?.update.case, 'add');
  const [address] = first.update.case === 'add' ? first.update.value.addrs : [];
  assert.ok(address !== undefined);
  return address;
}

test('a stream begins with the full set and goes on with differences', () => {
  const { state, get, flush } = setUp();
  state.setService('shop/web', service('web'));
  state.setPod('shop/a', pod('a', '10.1.0.1'));
  state.setPod('shop/b', pod('b', '10.1.0.2'));
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'a' }]));
  const stream = get('web:80');
  assert.deepEqual(brief(stream.take()), ['+10.1.0.1:8080']);
  state.setSlice(
    'shop/web-1',
    slice('web', [
      { ip: '10.1.0.1', pod: 'a' },
      { ip: '10.1.0.2', pod: 'b' },
    ]),
  );
  flush();
  assert.deepEqual(brief(stream.take()), ['+10.1.0.2:8080']);
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.2', pod: 'b' }]));
  flush();
  assert.deepEqual(brief(stream.take()), ['-10.1.0.1:8080']);
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.2', pod: 'b', ready: false }]));
  flush();
  assert.deepEqual(brief(stream.take()), ['none(true)']);
});

test('all endpoints are exchanged without a moment of none', () => {
  const { state, get, flush } = setUp();
  state.setService('shop/web', service('web'));
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1' }]));
  const stream = get('web:80');
  stream.take();
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.2' }]));
  flush();
  assert.deepEqual(brief(stream.take()), ['+10.1.0.2:8080', '-10.1.0.1:8080']);
});

test('a Service that is not there yet is told as such, and then appears, and goes', () => {
  const { state, get, flush } = setUp();
  const stream = get('web-west.shop.svc.cluster.local:80');
  assert.deepEqual(brief(stream.take()), ['none(false)']);
  state.setService('shop/web-west', service('web-west'));
  flush();
  assert.deepEqual(brief(stream.take()), ['none(true)']);
  state.setSlice('shop/s', slice('web-west', [{ ip: '10.1.0.1' }], { name: 's' }));
  flush();
  assert.deepEqual(brief(stream.take()), ['+10.1.0.1:8080']);
  state.setService('shop/web-west', undefined);
  flush();
  assert.deepEqual(brief(stream.take()), ['none(false)']);
});

test('a meshed pod has its identity, its inbound port and its labels', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web'));
  state.setPod(
    'shop/web-5d-x',
    pod('web-5d-x', '10.1.0.1', {
      meta: {
        labels: { 'pod-template-hash': '5d' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5d', uid: 'u', controller: true },
        ],
      },
    }),
  );
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'web-5d-x' }]));
  const updates = get('web:80').take();
  const address = added(updates);
  assert.equal(address.weight, 10_000);
  assert.deepEqual(address.tlsIdentity?.strategy, {
    case: 'uriLikeIdentity',
    value: {
      $typeName: 'io.linkerd.proxy.destination.TlsIdentity.UriLikeIdentity',
      uri: 'spiffe://cluster.local/cluster/east/ns/shop/sa/web',
    },
  });
  assert.equal(
    address.tlsIdentity.serverName?.name,
    'web.shop.serviceaccount.identity.isthmus.cluster.local',
  );
  assert.equal(address.protocolHint?.protocol.case, 'h2');
  assert.equal(address.protocolHint.opaqueTransport?.inboundPort, 4143);
  assert.deepEqual(address.metricLabels, {
    pod: 'web-5d-x',
    zone_locality: 'unknown',
    deployment: 'web',
    serviceaccount: 'web',
    control_plane_ns: 'isthmus',
  });
  const set = updates[0]?.update;
  assert.deepEqual(set?.case === 'add' ? set.value.metricLabels : undefined, {
    namespace: 'shop',
    service: 'web',
  });
});

const unmeshed: [why: string, endpoint: ReturnType<typeof pod>][] = [
  ['has no sidecar', pod('a', '10.1.0.1', { meshed: false })],
  [
    'belongs to another mesh',
    pod('a', '10.1.0.1', { meta: { labels: { [label.controlPlaneNs]: 'linkerd' } } }),
  ],
  [
    'does not take the port in its sidecar',
    pod('a', '10.1.0.1', {
      spec: {
        initContainers: [
          { name: component.redirect, env: [{ name: redirectEnv.skipInboundPorts, value: '8000-9000' }] },
          { name: component.proxy },
        ],
      },
    }),
  ],
];

for (const [why, endpoint] of unmeshed) {
  test(`a pod that ${why} gets plaintext of the app's own protocol`, () => {
    const { state, get } = setUp();
    state.setService('shop/web', service('web'));
    state.setPod('shop/a', endpoint);
    state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'a' }]));
    const address = added(get('web:80').take());
    assert.equal(address.tlsIdentity, undefined);
    assert.equal(address.protocolHint?.protocol.case, undefined);
    assert.equal(address.protocolHint?.opaqueTransport, undefined);
  });
}

test('a sidecar is dialled at the port that it has', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web'));
  const sidecar = { name: component.proxy, ports: [{ name: component.proxy, containerPort: 15_001 }] };
  state.setPod('shop/a', pod('a', '10.1.0.1', { spec: { initContainers: [sidecar] } }));
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'a' }]));
  const { protocolHint } = added(get('web:80').take());
  assert.equal(protocolHint?.opaqueTransport?.inboundPort, 15_001);
});

test('a gateway pod is meshed without a sidecar', () => {
  const { state, get } = setUp();
  const gateway = pod('gw', '10.1.0.9', {
    meshed: false,
    meta: { labels: { [label.component]: component.gateway, [label.controlPlaneNs]: 'isthmus' } },
  });
  state.setPod('shop/gw', gateway);
  assert.equal(added(get('10.1.0.9:4143').take()).protocolHint?.opaqueTransport?.inboundPort, 4143);
});

test('a mirror leads to the gateway, whose identity and authority are told', () => {
  const { state, get } = setUp();
  state.setService(
    'shop/web-west',
    service('web-west', undefined, {
      labels: { [label.mirroredService]: 'true', [label.mirrorCluster]: 'west' },
      annotations: { [annotation.remoteFqName]: 'web.shop.svc.cluster.local' },
    }),
  );
  state.setSlice('shop/m', mirrorSlice('web-west', 'web', ['10.9.0.1']));
  const updates = get('web-west:80').take();
  assert.deepEqual(brief(updates), ['+10.9.0.1:4143']);
  const address = added(updates);
  assert.equal(address.authorityOverride?.authorityOverride, 'web.shop.svc.cluster.local:80');
  assert.equal(address.protocolHint?.protocol.case, 'h2');
  assert.equal(address.protocolHint.opaqueTransport?.inboundPort, 4143);
  assert.equal(
    address.tlsIdentity?.strategy.case === 'uriLikeIdentity' && address.tlsIdentity.strategy.value.uri,
    'spiffe://cluster.local/cluster/west/ns/isthmus/sa/isthmus-gateway',
  );
  assert.equal(
    address.tlsIdentity?.serverName?.name,
    'isthmus-gateway.isthmus.serviceaccount.identity.isthmus.cluster.local',
  );
  const set = updates[0]?.update;
  assert.deepEqual(set?.case === 'add' ? set.value.metricLabels : undefined, {
    namespace: 'shop',
    service: 'web-west',
    target_cluster: 'west',
    target_service: 'web',
    target_service_namespace: 'shop',
  });
});

test('a slice that claims to be a gateway counts for nothing unless the Service is a mirror, and a mirror needs the claim', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web'));
  state.setSlice('shop/m', mirrorSlice('web', 'web', ['10.9.0.1']));
  const address = added(get('web:80').take());
  assert.equal(address.authorityOverride, undefined);
  assert.equal(address.tlsIdentity, undefined);
  state.setService(
    'shop/web-west',
    service('web-west', undefined, { labels: { [label.mirroredService]: 'true' } }),
  );
  state.setSlice('shop/n', slice('web-west', [{ ip: '10.9.0.1' }], { name: 'n' }));
  assert.deepEqual(brief(get('web-west:80').take()), ['none(true)']);
});

const opaque: [
  where: string,
  annotate: (state: ReturnType<typeof setUp>['state']) => void,
  expected: boolean,
][] = [
  ['nowhere', () => {}, false],
  [
    'on the Service',
    (state) =>
      state.setService(
        'shop/web',
        service('web', undefined, { annotations: { [annotation.opaquePorts]: '80' } }),
      ),
    true,
  ],
  [
    'on the Service by the name of the port',
    (state) =>
      state.setService(
        'shop/web',
        service('web', undefined, { annotations: { [annotation.opaquePorts]: 'http' } }),
      ),
    true,
  ],
  [
    'on the pod, for the target port',
    (state) =>
      state.setPod(
        'shop/a',
        pod('a', '10.1.0.1', { meta: { annotations: { [annotation.opaquePorts]: '8000-8100' } } }),
      ),
    true,
  ],
  [
    'on the namespace',
    (state) => state.setNamespace('shop', namespace('shop', { [annotation.opaquePorts]: '8080' })),
    true,
  ],
  [
    'on the namespace, but ours on the pod says none',
    (state) => {
      state.setNamespace('shop', namespace('shop', { [annotation.opaquePorts]: '8080' }));
      state.setPod(
        'shop/a',
        pod('a', '10.1.0.1', { meta: { annotations: { [annotation.isthmusOpaquePorts]: '' } } }),
      );
    },
    false,
  ],
];

for (const [where, annotate, expected] of opaque) {
  test(`opaque ports set ${where}`, () => {
    const { state, get, flush } = setUp();
    state.setService('shop/web', service('web'));
    state.setPod('shop/a', pod('a', '10.1.0.1'));
    state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', pod: 'a' }]));
    const stream = get('web:80');
    const before = added(stream.take());
    assert.equal(before.protocolHint?.protocol.case, 'h2');
    annotate(state);
    flush();
    const updates = stream.take();
    const now = updates.length === 0 ? before : added(updates);
    assert.equal(now.protocolHint?.protocol.case, expected ? 'opaque' : 'h2');
    assert.equal(now.protocolHint?.opaqueTransport?.inboundPort, 4143);
  });
}

test('a default opaque port is opaque', () => {
  const { state, profile } = setUp();
  state.setService('shop/db', service('db', [{ name: 'sql', port: 3306 }]));
  assert.equal(profile('db:3306').take()[0]?.opaqueProtocol, true);
  assert.equal(profile('db:80').take()[0]?.opaqueProtocol, false);
});

test('pods may resolve a named port to different numbers', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web', [{ name: 'http', port: 80, targetPort: 'http' }]));
  state.setSlice('shop/1', slice('web', [{ ip: '10.1.0.1' }], { name: '1', port: 8080 }));
  state.setSlice('shop/2', slice('web', [{ ip: '10.1.0.2' }], { name: '2', port: 9090 }));
  assert.deepEqual(brief(get('web:80').take()), ['+10.1.0.1:8080', '+10.1.0.2:9090']);
});

test('a port that the Service does not have leads nowhere; of a headless Service, to that port', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web'));
  state.setSlice('shop/1', slice('web', [{ ip: '10.1.0.1' }], { name: '1' }));
  assert.deepEqual(brief(get('web:81').take()), ['none(true)']);
  state.setService('shop/db', service('db', undefined, { spec: { clusterIP: 'None' } }));
  state.setSlice(
    'shop/2',
    slice(
      'db',
      [
        { ip: '10.1.0.2', hostname: 'db-0' },
        { ip: '10.1.0.3', hostname: 'db-1' },
      ],
      { name: '2' },
    ),
  );
  assert.deepEqual(brief(get('db-1.db.shop.svc.cluster.local:7000').take()), ['+10.1.0.3:7000']);
});

test('of a dual-stack Service a pod that has no address of the first family is told by the other', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web', undefined, { spec: { ipFamilies: ['IPv6', 'IPv4'] } }));
  const both = slice('web', [{ ip: 'fd00::1', pod: 'a' }], { name: '6', addressType: 'IPv6' });
  state.setSlice('shop/6', both);
  state.setSlice(
    'shop/4',
    slice('web', [{ ip: '10.1.0.1', pod: 'a' }, { ip: '10.1.0.2', pod: 'b' }, { ip: '10.1.0.3' }], {
      name: '4',
    }),
  );
  assert.deepEqual(brief(get('web:80').take()), ['+fd00:0:0:0:0:0:0:1:8080', '+10.1.0.2:8080']);
});

test('a family without endpoints does not hide the other: a gateway that has addresses of IPv6 alone', () => {
  const { state, get } = setUp();
  const labels = { [label.mirroredService]: 'true', [label.mirrorCluster]: 'west' };
  state.setService('shop/web-west', service('web-west', undefined, { labels }));
  state.setSlice('shop/4', mirrorSlice('web-west', 'web', []));
  state.setSlice('shop/6', { ...mirrorSlice('web-west', 'web', ['fd00::9']), addressType: 'IPv6' });
  assert.deepEqual(brief(get('web-west:80').take()), ['+fd00:0:0:0:0:0:0:9:4143']);
});

test('of a dual-stack Service the first family is told', () => {
  const { state, get } = setUp();
  state.setService('shop/web', service('web', undefined, { spec: { ipFamilies: ['IPv6', 'IPv4'] } }));
  state.setSlice('shop/4', slice('web', [{ ip: '10.1.0.1' }], { name: '4' }));
  state.setSlice('shop/6', slice('web', [{ ip: 'fd00::1' }], { name: '6', addressType: 'IPv6' }));
  assert.deepEqual(brief(get('web:80').take()), ['+fd00:0:0:0:0:0:0:1:8080']);
});

test('a bare address is its Service, its pod, or itself', () => {
  const { state, get, profile, flush } = setUp();
  state.setService('shop/web', service('web'));
  state.setSlice('shop/1', slice('web', [{ ip: '10.1.0.1' }], { name: '1' }));
  assert.deepEqual(brief(get('10.0.0.10:80').take()), ['+10.1.0.1:8080']);
  assert.equal(profile('10.0.0.10:80').take()[0]?.fullyQualifiedName, 'web.shop.svc.cluster.local');
  const stream = profile('10.1.0.7:8080');
  assert.equal(stream.take()[0]?.endpoint?.tlsIdentity, undefined);
  state.setPod('shop/a', pod('a', '10.1.0.7'));
  flush();
  const told = stream.take()[0];
  assert.equal(told?.fullyQualifiedName, '');
  assert.equal(
    told?.endpoint?.tlsIdentity?.serverName?.name,
    'web.shop.serviceaccount.identity.isthmus.cluster.local',
  );
  assert.deepEqual(brief(get('10.1.0.7:8080').take()), ['+10.1.0.7:8080']);
});

test('an address goes to the pod that was made last, and never to one that has ended', () => {
  const { state, get, flush } = setUp();
  const old = pod('old', '10.1.0.1', {
    meta: { creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { serviceAccountName: 'old' },
  });
  state.setPod(
    'shop/new',
    pod('new', '10.1.0.1', {
      meta: { creationTimestamp: '2026-01-02T00:00:00Z' },
      spec: { serviceAccountName: 'new' },
    }),
  );
  state.setPod('shop/old', old);
  assert.equal(added(get('10.1.0.1:80').take()).metricLabels['serviceaccount'], 'new');
  state.setPod('shop/new', undefined);
  state.setPod('shop/old', { ...old, status: { ...old.status, phase: 'Succeeded' } });
  flush();
  assert.equal(added(get('10.1.0.1:80').take()).tlsIdentity, undefined);
});

test('a profile says what a name is, before the Service exists too', () => {
  const { profile, state, flush } = setUp();
  const stream = profile('web:80');
  const [first] = stream.take();
  assert.equal(first?.fullyQualifiedName, 'web.shop.svc.cluster.local');
  assert.equal(first?.retryBudget?.minRetriesPerSecond, 10);
  assert.deepEqual(first?.parentRef?.kind.case === 'resource' && first.parentRef.kind.value.name, 'web');
  state.setService(
    'shop/web',
    service('web', undefined, { annotations: { [annotation.opaquePorts]: '80' } }),
  );
  flush();
  assert.deepEqual(
    stream.take().map(({ opaqueProtocol }) => opaqueProtocol),
    [true],
  );
});

test('what is no Service ends with InvalidArgument: a name outside, a domain that looks like one, an ExternalName', () => {
  const { profile, get, state, flush } = setUp();
  for (const open of [profile, get]) {
    assert.equal(open('example.com:80').codes[0], grpcStatus.invalidArgument);
    assert.throws(() => open('www.example.com:80'), { code: grpcStatus.invalidArgument });
  }
  const stream = get('web:80');
  state.setService(
    'shop/web',
    service('web', undefined, { spec: { type: 'ExternalName', externalName: 'x' } }),
  );
  flush();
  assert.equal(stream.codes[0], grpcStatus.invalidArgument);
});

test('one computation serves all that ask for the same Service from one node, and ends with the last', () => {
  const { views, get, state } = setUp();
  state.setService('shop/web', service('web'));
  const streams = ['web:80', 'WEB.shop.svc:80', 'web.shop.svc.cluster.local.:80'].map(get);
  // The endpoints, and the zone of the clients.
  assert.equal(views.size, 2);
  for (const stream of streams) stream.close();
  assert.equal(views.size, 0);
});

test('a change of something else is not told', () => {
  const { get, state, flush } = setUp();
  state.setService('shop/web', service('web'));
  const stream = get('web:80');
  stream.take();
  state.setService('shop/other', service('other'));
  state.setSlice('shop/o', slice('other', [{ ip: '10.1.0.1' }], { name: 'o' }));
  state.setService('shop/web', service('web', undefined, { annotations: { unrelated: 'x' } }));
  flush();
  assert.deepEqual(stream.take(), []);
});

test('a client that does not read is told the difference once it reads, not each step', () => {
  const { get, state, flush } = setUp();
  state.setService('shop/web', service('web'));
  const stream = get('web:80');
  stream.take();
  stream.reading = false;
  for (let i = 1; i <= 50; i += 1) {
    state.setSlice('shop/1', slice('web', [{ ip: `10.1.0.${i}` }], { name: '1' }));
    flush();
  }
  assert.equal(stream.take().length, 1);
  stream.drain();
  assert.deepEqual(brief(stream.take()), ['+10.1.0.50:8080', '-10.1.0.1:8080']);
});

test('a client that has stalled for long loses its stream, and no other does', () => {
  const { get, state, flush, advance, views } = setUp();
  state.setService('shop/web', service('web'));
  const [stalled, healthy] = [get('web:80'), get('web:80')];
  stalled.reading = false;
  state.setSlice('shop/1', slice('web', [{ ip: '10.1.0.1' }], { name: '1' }));
  flush();
  advance(STALL_LIMIT_MS - 1);
  assert.deepEqual(stalled.codes, []);
  advance(1);
  assert.deepEqual(stalled.codes, [grpcStatus.resourceExhausted]);
  assert.deepEqual(healthy.codes, []);
  assert.equal(views.size, 2);
});

test('a set of thousands goes in messages that a client takes between two requests', () => {
  const { get, state } = setUp();
  state.setService('shop/web', service('web'));
  const ips = Array.from({ length: 2_500 }, (_, i) => ({ ip: `10.2.${i >> 8}.${i & 255}` }));
  state.setSlice('shop/1', slice('web', ips, { name: '1' }));
  const updates = get('web:80').take();
  assert.deepEqual(
    updates.map(({ update }) => update.case === 'add' && update.value.addrs.length),
    [...Array.from({ length: 12 }, () => 200), 100],
  );
});
