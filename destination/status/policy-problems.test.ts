import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { PolicyKind } from '../policy/kinds.ts';
import { settings, testDeps } from '../testing/fixture.ts';
import { policyProblems } from './policy-problems.ts';

function problems(kind: PolicyKind, spec: object): string[] {
  const { views } = testDeps();
  const metadata = { name: 'x', namespace: 'shop' };
  views.state.setPolicy('servers', 'shop/web', {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { podSelector: {}, port: 80 },
  });
  views.state.setPolicy(kind, 'shop/x', { metadata, spec });
  return views
    .once((cluster) => policyProblems(cluster, settings))
    .map(({ resource, object, problem }) => `${resource.kind} ${object.metadata?.name}: ${problem}`);
}

const GROUP = 'policy.linkerd.io';
const WEB = { group: GROUP, kind: 'Server', name: 'web' };

const wrong: [kind: PolicyKind, spec: object, told: RegExp][] = [
  ['servers', { port: 80 }, /^Server x: it is for no pod/],
  ['servers', { podSelector: {}, port: 80, proxyProtocol: 'h3' }, /detected: proxyProtocol is "h3"/],
  [
    'servers',
    { podSelector: {}, port: 80, accessPolicy: 'all' },
    /nobody else is let in: accessPolicy is "all"/,
  ],
  ['serverAuthorizations', { server: { name: 'web' }, client: {} }, /it lets nobody in/],
  ['serverAuthorizations', { client: { unauthenticated: true } }, /for no Server/],
  [
    'authorizationPolicies',
    { targetRef: { ...WEB, name: 'none' }, requiredAuthenticationRefs: [] },
    /there is no Server shop\/none/,
  ],
  [
    'authorizationPolicies',
    {
      targetRef: WEB,
      requiredAuthenticationRefs: [{ group: GROUP, kind: 'MeshTLSAuthentication', name: 'none' }],
    },
    /lets nobody in: it requires MeshTLSAuthentication.policy.linkerd.io none, which does not exist/,
  ],
  ['meshTlsAuthentications', { identities: ['we*b'] }, /the identity "we\*b" fits nobody/],
  [
    'networkAuthentications',
    { networks: [{ cidr: '10.0.0.0/8', except: ['x'] }] },
    /the network "10.0.0.0\/8" is left out/,
  ],
  ['httpLocalRateLimitPolicies', { targetRef: WEB, total: { requestsPerSecond: 0 } }, /total is no limit/],
  ['httpLocalRateLimitPolicies', { targetRef: { kind: 'Pod', name: 'x' } }, /it is for nothing/],
  [
    'serviceProfiles',
    { routes: [{ name: 'a', condition: { pathRegex: '(' } }] },
    /the route "a" is left out/,
  ],
  [
    'serviceProfiles',
    {
      routes: [
        {
          name: 'a',
          condition: { method: 'GET' },
          responseClasses: [{ condition: { status: { min: -1 } } }],
        },
      ],
    },
    /the route "a" is left out: the status -1 must be/,
  ],
  [
    'serviceProfiles',
    { retryBudget: { retryRatio: 0.5, minRetriesPerSecond: -5, ttl: '10s' } },
    /retryBudget.minRetriesPerSecond is 10: -5 must be/,
  ],
  [
    'serviceProfiles',
    { retryBudget: { retryRatio: 0.5, minRetriesPerSecond: 5, ttl: 'x' } },
    /retryBudget.ttl is 10s: "x"/,
  ],
];

for (const [kind, spec, told] of wrong) {
  test(`${kind} ${JSON.stringify(spec)} is told to be wrong`, () => {
    const found = problems(kind, spec);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', told);
  });
}

const right: [kind: PolicyKind, spec: object][] = [
  ['servers', { podSelector: {}, port: 'http', proxyProtocol: 'gRPC', accessPolicy: 'audit' }],
  [
    'authorizationPolicies',
    { targetRef: WEB, requiredAuthenticationRefs: [{ kind: 'ServiceAccount', name: 'a' }] },
  ],
  ['meshTlsAuthentications', { identities: ['*', '*.a.b', 'spiffe://cluster.local/cluster/west/*'] }],
  ['serviceProfiles', { routes: [{ name: 'a', condition: { method: 'GET' }, timeout: '300ms' }] }],
];

for (const [kind, spec] of right) {
  test(`of ${kind} ${JSON.stringify(spec)} nothing is told`, () => {
    assert.deepEqual(problems(kind, spec), []);
  });
}
