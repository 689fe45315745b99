import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import type { AuthorizationPolicy, PolicyServer } from '../../api/policy-types.ts';
import { type Authz, PortSpecSchema, type Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { ipText } from '../ip-address.ts';
import { createPolicyService } from '../policy-service.ts';
import { profileOf } from '../profile.ts';
import { namespace, pod, settings, testDeps, TestStream } from '../testing/fixture.ts';
import type { PolicyKind, PolicyKinds } from './kinds.ts';

const WEB = 'web.shop.serviceaccount.identity.isthmus.cluster.local';
const MESHTLS = { group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication' };
const NETWORK = { group: 'policy.linkerd.io', kind: 'NetworkAuthentication' };
const SERVER = { group: 'policy.linkerd.io', kind: 'Server', name: 'web' };

function setUp() {
  const deps = testDeps();
  const policy = createPolicyService(deps, { ...settings, clusterNetworks: ['10.0.0.0/8'] });
  const { state } = deps.views;
  state.setNamespace('shop', namespace('shop'));
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { labels: { app: 'web' } } }));
  const put = <K extends PolicyKind>(
    kind: K,
    name: string,
    object: Omit<PolicyKinds[K], 'metadata'>,
    meta = {},
  ): void => {
    const metadata = { name, namespace: 'shop', ...meta };
    state.setPolicy(kind, `${metadata.namespace}/${name}`, { metadata, ...object });
  };
  return {
    state,
    put,
    server: (spec: PolicyServer['spec'] = {}, meta = {}): void =>
      put(
        'servers',
        'web',
        { spec: { podSelector: { matchLabels: { app: 'web' } }, port: 8080, ...spec } },
        meta,
      ),
    authorize: (name: string, spec: AuthorizationPolicy['spec']): void =>
      put('authorizationPolicies', name, { spec: { targetRef: SERVER, ...spec } }),
    get: (port = 8080): Server =>
      policy.getPort(create(PortSpecSchema, { workload: '{"ns":"shop","pod":"a"}', port })),
    watch: (port = 8080): (() => Server[]) => {
      const stream = new TestStream<Server>();
      policy.watchPort(create(PortSpecSchema, { workload: '{"ns":"shop","pod":"a"}', port }), stream);
      return () => {
        deps.flush();
        return stream.take();
      };
    },
  };
}

/** An authorization in words: `p: a,b from 10.0.0.0/8`. */
function words({ labels, networks, authentication }: Authz): string {
  const nets = networks.map(({ net, except }) => {
    const text = `${ipText(net?.ip)}/${net?.prefixLen}`;
    const without = except.map((one) => `-${ipText(one.ip)}/${one.prefixLen}`);
    return [text, ...without].join('');
  });
  return `${labels['kind']} ${labels['name']}: ${clients(authentication)} from ${nets.join(' ')}`;
}

function clients(authentication: Authz['authentication']): string {
  const permit = authentication?.permit;
  if (permit?.case !== 'meshTLS') return permit?.case === 'unauthenticated' ? 'anyone' : 'nobody';
  const { clients: named } = permit.value;
  if (named.case !== 'identities') return 'tls';
  const suffixes = named.value.suffixes.map(({ parts }) => ['*', ...parts].join('.'));
  return [...named.value.identities.map(({ name }) => name), ...suffixes].join(',') || 'nobody';
}

const ANYWHERE = '0.0.0.0/0 0:0:0:0:0:0:0:0/0';

test('a port that a Server is for is closed to all but those who are authorized; other ports keep the default', () => {
  const { server, get } = setUp();
  assert.deepEqual(get().labels, { group: '', kind: 'default', name: 'all-unauthenticated' });
  server();
  assert.deepEqual(get().labels, { group: 'policy.linkerd.io', kind: 'server', name: 'web' });
  assert.deepEqual(get().authorizations, []);
  assert.equal(get(9090).authorizations.length, 1);
});

test('Servers select by label and by number or name of the port; for others the default holds', () => {
  const { server, get } = setUp();
  for (const spec of [{ port: 'http' }, { port: '8080' }, { podSelector: {} }]) {
    server(spec);
    assert.equal(get().labels['kind'], 'server', JSON.stringify(spec));
  }
  const others: PolicyServer['spec'][] = [
    { port: 'grpc' },
    { port: 80 },
    { podSelector: { matchLabels: { app: 'db' } } },
    { podSelector: undefined, externalWorkloadSelector: {} } as never,
  ];
  for (const spec of others) {
    server(spec);
    assert.equal(get().labels['kind'], 'default', JSON.stringify(spec));
  }
});

test('of two Servers the older one counts', () => {
  const { server, put, get } = setUp();
  server({}, { creationTimestamp: '2026-01-02T00:00:00Z' });
  const older = { creationTimestamp: '2026-01-01T00:00:00Z' };
  put('servers', 'x', { spec: { podSelector: {}, port: 8080 } }, older);
  assert.equal(get().labels['name'], 'x');
});

const protocols: [text: string | undefined, wanted: string][] = [
  [undefined, 'detect'],
  ['unknown', 'detect'],
  ['HTTP/1', 'http1'],
  ['HTTP/2', 'http2'],
  ['gRPC', 'grpc'],
  ['opaque', 'opaque'],
  ['TLS', 'tls'],
  ['quic', 'detect'],
];

for (const [text, wanted] of protocols) {
  test(`proxyProtocol ${text} is ${wanted}`, () => {
    const { server, get } = setUp();
    server(text === undefined ? {} : { proxyProtocol: text });
    assert.equal(get().protocol?.kind.case, wanted);
  });
}

test('who has all authentications that a policy requires is let in', () => {
  const { server, authorize, put, get } = setUp();
  server();
  put('meshTlsAuthentications', 'web', {
    spec: {
      identities: [
        '*.bank.serviceaccount.identity.isthmus.cluster.local',
        'spiffe://cluster.local/cluster/west/ns/a/sa/b',
      ],
      identityRefs: [
        { kind: 'ServiceAccount', name: 'web' },
        { kind: 'Namespace', name: 'ops' },
      ],
    },
  });
  put('networkAuthentications', 'office', {
    spec: { networks: [{ cidr: '10.2.0.0/16', except: ['10.2.1.0/24'] }, { cidr: '10.9.9.9' }] },
  });
  authorize('p', {
    requiredAuthenticationRefs: [
      { ...MESHTLS, name: 'web' },
      { ...NETWORK, name: 'office' },
    ],
  });
  authorize('q', {
    requiredAuthenticationRefs: [{ kind: 'ServiceAccount', name: 'cron', namespace: 'jobs' }],
  });
  authorize('r', { requiredAuthenticationRefs: [] });
  assert.deepEqual(get().authorizations.map(words), [
    `authorizationpolicy p: spiffe://cluster.local/cluster/west/ns/a/sa/b,${WEB},` +
      '*.bank.serviceaccount.identity.isthmus.cluster.local,*.ops.serviceaccount.identity.isthmus.cluster.local' +
      ' from 10.2.0.0/16-10.2.1.0/24 10.9.9.9/32',
    `authorizationpolicy q: cron.jobs.serviceaccount.identity.isthmus.cluster.local from ${ANYWHERE}`,
    `authorizationpolicy r: anyone from ${ANYWHERE}`,
  ]);
});

test('a SPIFFE ID of the own cluster is the workload that proxies know by its DNS identity; * is the whole mesh', () => {
  const { server, authorize, put, get } = setUp();
  server();
  put('meshTlsAuthentications', 'web', {
    spec: {
      identities: [
        'spiffe://cluster.local/cluster/east/ns/shop/sa/web',
        '*',
        'spiffe://cluster.local/cluster/*/ns/shop/*',
      ],
    },
  });
  authorize('p', { requiredAuthenticationRefs: [{ ...MESHTLS, name: 'web' }] });
  assert.deepEqual(get().authorizations.map(words), [
    `authorizationpolicy p: ${WEB},spiffe://cluster.local/cluster/*/ns/shop/*,* from ${ANYWHERE}`,
  ]);
});

test('a policy for the namespace is for each of its Servers; those for others are for none of them', () => {
  const { server, authorize, get } = setUp();
  server();
  const anyone = { requiredAuthenticationRefs: [] };
  authorize('all', { targetRef: { kind: 'Namespace', name: 'shop' }, ...anyone });
  authorize('elsewhere', { targetRef: { kind: 'Namespace', name: 'bank' }, ...anyone });
  authorize('other', { targetRef: { ...SERVER, name: 'other' }, ...anyone });
  authorize('route', {
    targetRef: { group: 'policy.linkerd.io', kind: 'HTTPRoute', name: 'web' },
    ...anyone,
  });
  authorize('what', { targetRef: { kind: 'Pod', name: 'a' }, ...anyone });
  assert.deepEqual(
    get().authorizations.map(({ labels }) => labels['name']),
    ['all'],
  );
});

const notUnderstood: [
  what: string,
  refs: NonNullable<AuthorizationPolicy['spec']>['requiredAuthenticationRefs'],
][] = [
  ['an authentication that does not exist', [{ ...MESHTLS, name: 'none' }]],
  [
    'a network that does not exist',
    [
      { kind: 'ServiceAccount', name: 'web' },
      { ...NETWORK, name: 'none' },
    ],
  ],
  ['an authentication of another namespace', [{ ...MESHTLS, name: 'web', namespace: 'bank' }]],
  ['an unknown kind', [{ kind: 'Secret', name: 'web' }]],
  [
    'two identities at once',
    [
      { ...MESHTLS, name: 'web' },
      { kind: 'ServiceAccount', name: 'web' },
    ],
  ],
  [
    'two networks at once',
    [
      { ...NETWORK, name: 'good' },
      { ...NETWORK, name: 'good' },
    ],
  ],
  ['networks that are none', [{ ...NETWORK, name: 'bad' }]],
];

for (const [what, requiredAuthenticationRefs] of notUnderstood) {
  test(`a policy that requires ${what} lets nobody in`, () => {
    const { server, authorize, put, get } = setUp();
    server();
    put('meshTlsAuthentications', 'web', { spec: { identities: ['*'] } });
    put('networkAuthentications', 'good', { spec: { networks: [{ cidr: '10.0.0.0/8' }] } });
    put('networkAuthentications', 'bad', {
      spec: { networks: [{ cidr: '10.0.0.0/99' }, { cidr: '0.0.0.0/0', except: ['x'] }] },
    });
    authorize('p', requiredAuthenticationRefs === undefined ? {} : { requiredAuthenticationRefs });
    assert.deepEqual(get().authorizations, []);
  });
}

test('an identity that can not be read fits nobody', () => {
  const { server, authorize, put, get } = setUp();
  server();
  put('meshTlsAuthentications', 'web', {
    spec: { identities: ['we*', '*.', 'spiffe://x y', 'a b', '*.*.c'] },
  });
  authorize('p', { requiredAuthenticationRefs: [{ ...MESHTLS, name: 'web' }] });
  assert.deepEqual(get().authorizations.map(clientsOf), ['nobody']);
});

function clientsOf({ authentication }: Authz): string {
  return clients(authentication);
}

test('ServerAuthorizations by name and by selector, whoever they let in', () => {
  const { server, put, get } = setUp();
  server({}, { labels: { tier: 'front' } });
  const byName = { name: 'web' };
  put('serverAuthorizations', 'a', {
    spec: { server: byName, client: { unauthenticated: true, networks: [{ cidr: '192.168.0.0/16' }] } },
  });
  put('serverAuthorizations', 'b', {
    spec: {
      server: { selector: { matchLabels: { tier: 'front' } } },
      client: { meshTLS: { unauthenticatedTLS: true } },
    },
  });
  put('serverAuthorizations', 'c', {
    spec: { server: byName, client: { meshTLS: { identities: ['*'], serviceAccounts: [{ name: 'web' }] } } },
  });
  put('serverAuthorizations', 'd', { spec: { server: byName, client: {} } });
  put('serverAuthorizations', 'e', {
    spec: { server: { name: 'other' }, client: { unauthenticated: true } },
  });
  put('serverAuthorizations', 'f', { spec: { client: { unauthenticated: true } } });
  put('serverAuthorizations', 'g', {
    spec: { server: byName, client: { unauthenticated: true, meshTLS: { identities: ['*'] } } },
  });
  assert.deepEqual(get().authorizations.map(words), [
    'serverauthorization a: anyone from 192.168.0.0/16',
    'serverauthorization b: tls from 10.0.0.0/8',
    `serverauthorization c: ${WEB},* from 10.0.0.0/8`,
  ]);
});

test('the access policy says who else is let in; audit lets everybody in and shows in metrics', () => {
  const { server, get } = setUp();
  server({ accessPolicy: 'audit' });
  assert.deepEqual(get().authorizations.map(words), [`default audit: anyone from ${ANYWHERE}`]);
  server({ accessPolicy: 'all-authenticated' });
  assert.deepEqual(get().authorizations.map(words), [`default all-authenticated: * from ${ANYWHERE}`]);
  server({ accessPolicy: 'everybody' });
  assert.deepEqual(get().authorizations, []);
});

test('declared probe paths stay open where a Server closes the port', () => {
  const { server, state, get } = setUp();
  const probed = {
    name: 'app',
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { port: 'http', path: '/ready' } },
  };
  state.setPod(
    'shop/a',
    pod('a', '10.1.0.1', { meta: { labels: { app: 'web' } }, spec: { containers: [probed] } }),
  );
  server();
  const kind = get().protocol?.kind;
  const routes = kind?.case === 'detect' ? kind.value.httpRoutes : [];
  assert.deepEqual(
    routes.map(({ metadata, authorizations }) => [metadata?.kind.value, authorizations.map(clientsOf)]),
    [
      ['probe', ['anyone']],
      ['default', []],
    ],
  );
});

test('whatever a policy is made of, a change of it reaches the stream, and other changes do not', () => {
  const { server, authorize, put, state, watch } = setUp();
  const take = watch();
  const names = (): string[][] => take().map(({ authorizations }) => authorizations.map(words));
  assert.equal(names().length, 1);
  server();
  assert.deepEqual(names(), [[]]);
  authorize('p', { requiredAuthenticationRefs: [{ ...MESHTLS, name: 'web', namespace: 'bank' }] });
  assert.deepEqual(names(), []);
  put('meshTlsAuthentications', 'web', { spec: { identities: ['a.b'] } }, { namespace: 'bank' });
  assert.deepEqual(names(), [[`authorizationpolicy p: a.b from ${ANYWHERE}`]]);
  put('meshTlsAuthentications', 'web', { spec: { identities: ['c.d'] } });
  put('servers', 'other', { spec: { podSelector: { matchLabels: { app: 'db' } }, port: 8080 } });
  assert.deepEqual(names(), []);
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { labels: { app: 'db' } } }));
  assert.deepEqual(names(), [[]]);
  state.setPolicy('servers', 'shop/other', undefined);
  assert.deepEqual(names(), [[`default all-unauthenticated: anyone from ${ANYWHERE}`]]);
});

test('clients are told that a port is opaque where its Server says so, and that it is not where annotations say it is', () => {
  const { views } = testDeps();
  const { state } = views;
  const annotations = { 'config.linkerd.io/opaque-ports': '9090' };
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { labels: { app: 'web' }, annotations } }));
  const isOpaque = (port: number): boolean => {
    const target = { kind: 'address', ip: '10.1.0.1', port } as const;
    const found = views.once((cluster) => profileOf(target, undefined, cluster, settings));
    return found.kind === 'profile' && found.profile.opaqueProtocol;
  };
  assert.deepEqual([isOpaque(8080), isOpaque(9090)], [false, true]);
  for (const [port, proxyProtocol] of [
    [8080, 'opaque'],
    [9090, 'HTTP/1'],
  ] as const)
    state.setPolicy('servers', `shop/${port}`, {
      metadata: { name: String(port), namespace: 'shop' },
      spec: { podSelector: {}, port, proxyProtocol },
    });
  assert.deepEqual([isOpaque(8080), isOpaque(9090)], [true, false]);
});
