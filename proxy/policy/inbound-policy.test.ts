import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type AuthnSchema, ServerSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { HttpMethod_Registered } from '../../api/proto/gen/linkerd/http_types_pb.js';
import { DEFAULT_INBOUND_POLICIES, type DefaultInboundPolicy } from '../../api/default-policies.ts';
import type { Head } from '../message/head.ts';
import { requestHead } from '../testing/request-head.ts';
import { parseBlock } from './address-block.ts';
import { compilePortPolicy, defaultPortPolicy, type Subject } from './inbound-policy.ts';

const INSIDE: Subject = {
  address: '10.0.0.1',
  authenticated: true,
  identity: 'web.shop.serviceaccount',
  spiffeId: 'spiffe://x/cluster/east/ns/shop/sa/web',
};
const OUTSIDE = { ...INSIDE, address: '8.8.8.8' };
const NOBODY = { ...INSIDE, authenticated: false, identity: '', spiffeId: '' };
const STRANGER = { ...OUTSIDE, authenticated: false, identity: '', spiffeId: '' };

const EXPECTED: Record<DefaultInboundPolicy, [boolean, boolean, boolean, boolean]> = {
  'all-unauthenticated': [true, true, true, true],
  'all-authenticated': [true, true, false, false],
  'cluster-unauthenticated': [true, false, true, false],
  'cluster-authenticated': [true, false, false, false],
  deny: [false, false, false, false],
  audit: [true, true, true, true],
};

for (const name of DEFAULT_INBOUND_POLICIES) {
  test(`default policy ${name}`, () => {
    const block = parseBlock('10.0.0.0/8');
    assert.ok(block !== undefined);
    const policy = defaultPortPolicy(name, [block], { opaque: false, probes: [] });
    const verdicts = [INSIDE, OUTSIDE, NOBODY, STRANGER].map((subject) => policy.decide(subject).allowed);
    assert.deepEqual(verdicts, EXPECTED[name]);
    assert.equal(policy.decide(INSIDE).labels['srv_name'], name);
  });
}

function policyOf(authentication: MessageInitShape<typeof AuthnSchema> | undefined, networks: object[] = []) {
  return compilePortPolicy(
    create(ServerSchema, {
      protocol: { kind: { case: 'opaque', value: {} } },
      authorizations: [
        {
          networks,
          labels: { name: 'a' },
          ...(authentication === undefined ? {} : { authentication }),
        },
      ],
      labels: { name: 's' },
    }),
  );
}

function identities(names: string[], suffixes: string[][] = []): MessageInitShape<typeof AuthnSchema> {
  const value = {
    identities: names.map((name) => ({ name })),
    suffixes: suffixes.map((parts) => ({ parts })),
  };
  return { permit: { case: 'meshTLS', value: { clients: { case: 'identities', value } } } };
}

test('a policy that names an identity means that one alone, and says which rule let it pass', () => {
  const policy = policyOf(identities(['web.shop.serviceaccount']));
  assert.deepEqual(policy.decide(INSIDE), { allowed: true, labels: { srv_name: 's', authz_name: 'a' } });
  assert.deepEqual(policy.decide({ ...INSIDE, identity: 'other' }), {
    allowed: false,
    labels: { srv_name: 's' },
  });
  assert.equal(policy.decide(NOBODY).allowed, false);
  assert.equal(policy.opaque, true);
});

test('a suffix means DNS identities below it; a workload of another cluster is never below one', () => {
  const policy = policyOf(identities([], [['shop', 'serviceaccount']]));
  assert.equal(policy.decide(INSIDE).allowed, true);
  assert.equal(policy.decide({ ...INSIDE, identity: 'shop.serviceaccount' }).allowed, false);
  assert.equal(policy.decide({ ...INSIDE, identity: 'spiffe://x/a.shop.serviceaccount' }).allowed, false);
});

test('the empty suffix is every mesh identity', () => {
  const policy = policyOf(identities([], [[]]));
  assert.equal(policy.decide({ ...INSIDE, identity: 'spiffe://x/y' }).allowed, true);
  assert.equal(policy.decide(NOBODY).allowed, false);
});

test('networks with exceptions', () => {
  const net = { ip: { ip: { case: 'ipv4', value: 0x0a000000 } }, prefixLen: 8 };
  const except = [{ ip: { ip: { case: 'ipv4', value: 0x0a010000 } }, prefixLen: 16 }];
  const policy = policyOf({ permit: { case: 'unauthenticated', value: {} } }, [{ net, except }]);
  assert.equal(policy.decide(NOBODY).allowed, true);
  assert.equal(policy.decide({ ...NOBODY, address: '10.1.2.3' }).allowed, false);
  assert.equal(policy.decide(STRANGER).allowed, false);
});

test('no rule, and a rule without authentication, let nobody in', () => {
  assert.equal(compilePortPolicy(create(ServerSchema, {})).decide(INSIDE).allowed, false);
  assert.equal(policyOf(undefined).decide(INSIDE).allowed, false);
});

function request(method: string, path: string): Head {
  return requestHead({ method, path });
}

test('routes have rules of their own: exactly what they name is open, and what no route is for is closed', () => {
  const anyone = { authentication: { permit: { case: 'unauthenticated', value: {} } } } as const;
  const get = { type: { case: 'registered', value: HttpMethod_Registered.GET } } as const;
  const exact = (path: string) => ({ kind: { case: 'exact', value: path } }) as const;
  const under = (path: string) => ({ kind: { case: 'prefix', value: path } }) as const;
  const httpRoutes = [
    {
      metadata: { kind: { case: 'default', value: 'probe' } } as const,
      authorizations: [{ ...anyone, labels: { name: 'probe' } }],
      rules: [{ matches: [{ path: exact('/healthz'), method: get }] }],
    },
    { authorizations: [], rules: [{ matches: [{ path: under('/private') }] }] },
    {
      authorizations: [],
      rules: [{ matches: [{ path: { kind: { case: 'regex', value: '(' } } as const }] }],
    },
  ];
  const policy = compilePortPolicy(
    create(ServerSchema, {
      protocol: { kind: { case: 'detect', value: { httpRoutes } } },
      labels: { name: 's' },
    }),
  );
  const may = (method: string, path: string): boolean =>
    policy.rulesFor(request(method, path)).decide(STRANGER).allowed;
  assert.deepEqual(policy.rulesFor(request('GET', '/healthz')).decide(STRANGER).labels, {
    srv_name: 's',
    route_group: '',
    route_kind: 'default',
    route_name: 'probe',
    authz_name: 'probe',
  });
  assert.equal(may('GET', '/healthz?verbose'), true);
  for (const path of ['/healthz/', '/healthz/x', '/health', '/private', '/', '/%68ealthz', '//healthz'])
    assert.equal(may('GET', path), false, path);
  assert.equal(may('POST', '/healthz'), false);
  assert.equal(
    policy.rulesFor(request('GET', '/healthz')),
    policy.rulesFor(request('GET', '/healthz')),
    'a verdict can be kept',
  );
});

test("until the pod is seen the kubelet's paths stay open, and nothing else does", () => {
  const probes = ['/healthz', '/ready'];
  const unseen = create(ServerSchema, {
    protocol: { kind: { case: 'detect', value: {} } },
    labels: { group: '', kind: 'default', name: 'deny' },
  });
  for (const policy of [
    defaultPortPolicy('deny', [], { opaque: false, probes }),
    compilePortPolicy(unseen, undefined, probes),
  ]) {
    const may = (method: string, path: string): boolean =>
      policy.rulesFor(request(method, path)).decide(STRANGER).allowed;
    assert.deepEqual([may('GET', '/healthz?full'), may('GET', '/ready')], [true, true]);
    for (const [method, path] of [
      ['POST', '/healthz'],
      ['GET', '/healthz/x'],
      ['GET', '//healthz'],
      ['GET', '/'],
    ] as const)
      assert.equal(may(method, path), false, path);
    assert.equal(policy.decide(STRANGER).allowed, false, 'opaque streams are no probes');
    assert.equal(policy.rulesFor(request('GET', '/ready')).decide(STRANGER).labels['authz_name'], 'probe');
    assert.equal(policy.rulesFor(request('GET', '/')).decide(STRANGER).labels['srv_name'], 'deny');
  }
});

test('whoever knows the pod says what is open: a Server, or a default that lets some in', () => {
  const probes = ['/healthz'];
  const server = create(ServerSchema, { labels: { kind: 'server', name: 's' } });
  const meshed = create(ServerSchema, {
    labels: { kind: 'default', name: 'all-authenticated' },
    authorizations: [
      {
        authentication: {
          permit: {
            case: 'meshTLS',
            value: { clients: { case: 'identities', value: { suffixes: [{ parts: [] }] } } },
          },
        },
      },
    ],
  });
  for (const told of [server, meshed]) {
    const policy = compilePortPolicy(told, undefined, probes);
    assert.equal(policy.rulesFor(request('GET', '/healthz')).decide(STRANGER).allowed, false);
  }
});

test('address blocks', () => {
  assert.equal(parseBlock('10.0.0.0/8')?.contains('10.255.0.1'), true);
  assert.equal(parseBlock('10.0.0.1')?.contains('10.0.0.2'), false);
  assert.equal(parseBlock('fd00::/8')?.contains('fd12::1'), true);
  assert.equal(parseBlock('10.0.0.0/8')?.contains('fd12::1'), false);
  for (const bad of ['', 'x', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/8/8', 'fd00::/129', '10.0.0/8']) {
    assert.equal(parseBlock(bad), undefined, bad);
  }
});
