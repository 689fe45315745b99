import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { GrpcRoute, HttpRoute, RouteParentStatus } from '../../api/route-types.ts';
import { service, testDeps } from '../testing/fixture.ts';
import { ROUTE_CONTROLLER, routeStatus } from './route-status.ts';

const POLICY = 'policy.linkerd.io';
const WEB = { group: '', kind: 'Service', name: 'web' };
const NOW = Date.parse('2026-11-21T00:00:00Z');

function setUp() {
  const { views } = testDeps();
  views.state.setService('shop/web', service('web'));
  views.state.setPolicy('servers', 'shop/web', { metadata: { name: 'web', namespace: 'shop' } });
  const route = (spec: HttpRoute['spec'], status?: HttpRoute['status']): HttpRoute => ({
    metadata: { name: 'r', namespace: 'shop', generation: 3 },
    ...(spec === undefined ? {} : { spec }),
    ...(status === undefined ? {} : { status }),
  });
  return {
    route,
    status: (of: HttpRoute, now = NOW) =>
      views.once((cluster) => routeStatus('httpRoutes', of, cluster, now)),
    calls: (of: GrpcRoute) => views.once((cluster) => routeStatus('grpcRoutes', of, cluster, NOW)),
  };
}

/** `Accepted=True Accepted` for each condition. */
function said(parents: readonly RouteParentStatus[] | undefined): string[][] | undefined {
  return parents?.map(({ conditions }) =>
    (conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`),
  );
}

const RESOLVED = 'ResolvedRefs=True ResolvedRefs';
const cases: [what: string, spec: HttpRoute['spec'], said: string[][]][] = [
  ['a Service', { parentRefs: [WEB] }, [['Accepted=True Accepted', RESOLVED]]],
  ['a port of it', { parentRefs: [{ ...WEB, port: 80 }] }, [['Accepted=True Accepted', RESOLVED]]],
  [
    'a port that it has not',
    { parentRefs: [{ ...WEB, port: 81 }] },
    [['Accepted=False NoMatchingParent', RESOLVED]],
  ],
  [
    'a Service that is not there',
    { parentRefs: [{ ...WEB, name: 'x' }] },
    [['Accepted=False NoMatchingParent', RESOLVED]],
  ],
  [
    'a Server',
    { parentRefs: [{ group: POLICY, kind: 'Server', name: 'web' }] },
    [['Accepted=True Accepted', RESOLVED]],
  ],
  [
    'a Server of another namespace',
    { parentRefs: [{ group: POLICY, kind: 'Server', name: 'web', namespace: 'bank' }] },
    [['Accepted=False NoMatchingParent', RESOLVED]],
  ],
  ["a Gateway, which is others' business", { parentRefs: [{ kind: 'Gateway', name: 'g' }] }, []],
  [
    'what can not be read',
    { parentRefs: [WEB], rules: [{ matches: [{ path: { type: 'RegularExpression', value: '(' } }] }] },
    [['Accepted=False UnsupportedValue', RESOLVED]],
  ],
  [
    'a filter that nobody knows',
    { parentRefs: [WEB], rules: [{ filters: [{ type: 'RequestMirror' }] }] },
    [['Accepted=False UnsupportedValue', RESOLVED]],
  ],
  [
    'a filter of a backend that nobody knows',
    {
      parentRefs: [WEB],
      rules: [{ backendRefs: [{ name: 'web', port: 80, filters: [{ type: 'RequestMirror' }] }] }],
    },
    [['Accepted=False UnsupportedValue', RESOLVED]],
  ],
  [
    'a time for tries that is none',
    { parentRefs: [WEB], rules: [{ timeouts: { backendRequest: 'soon' } }] },
    [['Accepted=False UnsupportedValue', RESOLVED]],
  ],
  [
    'a backend that is not there',
    { parentRefs: [WEB], rules: [{ backendRefs: [{ name: 'x', port: 80 }] }] },
    [['Accepted=True Accepted', 'ResolvedRefs=False BackendNotFound']],
  ],
  [
    'a backend of another kind',
    {
      parentRefs: [WEB],
      rules: [{ backendRefs: [{ group: 'x.io', kind: 'Bucket', name: 'web', port: 80 }] }],
    },
    [['Accepted=True Accepted', 'ResolvedRefs=False InvalidKind']],
  ],
];

for (const [what, spec, wanted] of cases) {
  test(`the status of a route with ${what}`, () => {
    const { route, status } = setUp();
    assert.deepEqual(said(status(route(spec)) ?? []), wanted);
  });
}

test('filters that would make calls fail are told of', () => {
  const { calls } = setUp();
  const filters = [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['x'] } }];
  for (const rule of [{ filters }, { backendRefs: [{ name: 'web', port: 80, filters }] }]) {
    const metadata = { name: 'r', namespace: 'shop' };
    const parents = calls({ metadata, spec: { parentRefs: [WEB], rules: [rule] } });
    assert.deepEqual(said(parents), [['Accepted=False UnsupportedValue', RESOLVED]]);
  }
});

test('nothing is written when nothing has changed, and times move only with what they are of', () => {
  const { route, status } = setUp();
  const spec = { parentRefs: [WEB], rules: [{ backendRefs: [{ name: 'x', port: 80 }] }] };
  const parents = status(route(spec));
  assert.ok(parents !== undefined);
  assert.equal(status(route(spec, { parents: [...parents] }), NOW + 5_000), undefined);
  const mended = status(route({ parentRefs: [WEB] }, { parents: [...parents] }), NOW + 5_000);
  const times = mended?.[0]?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime);
  assert.deepEqual(times, ['2026-11-21T00:00:00.000Z', '2026-11-21T00:00:05.000Z']);
  assert.equal(mended?.[0]?.conditions?.[0]?.observedGeneration, 3);
});

test("others' entries stay, ours go with their parents", () => {
  const { route, status } = setUp();
  const other = { parentRef: { name: 'g' }, controllerName: 'example.com/other', conditions: [] };
  const stale = { parentRef: { ...WEB, name: 'gone' }, controllerName: ROUTE_CONTROLLER, conditions: [] };
  const parents = status(route({ parentRefs: [WEB] }, { parents: [stale, other] }));
  assert.deepEqual(parents?.[0], other);
  assert.deepEqual(
    parents.map(({ parentRef }) => parentRef.name),
    ['g', 'web'],
  );
});
