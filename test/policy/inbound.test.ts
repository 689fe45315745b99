import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http2';
import { after, afterEach, before, test } from 'node:test';

import { ask, causeOf, metricSum } from '../../proxy/testing/mesh/http.ts';
import type { PolicyKind } from '../../destination/policy/kinds.ts';
import { http2Through } from '../../proxy/testing/mesh/http2.ts';
import { type PolicyPod, PolicyMesh } from './policy-mesh.ts';

/** What people write, on its whole way to what their clients get. */
let mesh: PolicyMesh;
let web: PolicyPod;
let db: PolicyPod;
let server: PolicyPod;
const POLICY = 'policy.linkerd.io';
const SERVER = { group: POLICY, kind: 'Server', name: 'server' };
const put: (readonly [PolicyKind, string])[] = [];

before(async () => {
  mesh = await PolicyMesh.create();
  [web, db, server] = await Promise.all([mesh.start('web'), mesh.start('db'), mesh.start('server')]);
  mesh.service('server', server);
});
after(() => mesh.close());
afterEach(async () => {
  for (const [kind, name] of put.splice(0)) mesh.remove(kind, name);
  await mesh.told();
});

async function close(spec: object = {}): Promise<void> {
  mesh.put('servers', 'server', {
    podSelector: { matchLabels: { app: 'server' } },
    port: 'http',
    ...spec,
  });
  put.push(['servers', 'server']);
  await mesh.told();
}

async function authorize(name: string, account: string, targetRef: object = SERVER): Promise<void> {
  const requiredAuthenticationRefs = [{ kind: 'ServiceAccount', name: account }];
  mesh.put('authorizationPolicies', name, { targetRef, requiredAuthenticationRefs });
  put.push(['authorizationPolicies', name]);
  await mesh.told();
}

async function status(from: PolicyPod, path = '/', method = 'GET'): Promise<number> {
  return (await ask(from.pod.ip, `http://server.shop${path}`, { method })).status;
}

test('a Server closes its port, an AuthorizationPolicy opens it to whom it names, and both go as they came', async () => {
  assert.equal(await status(web), 200);
  await close();
  const denied = await ask(web.pod.ip, 'http://server.shop/');
  assert.deepEqual([denied.status, causeOf(denied)], [403, 'unauthorized']);
  await authorize('web', 'web');
  assert.equal(await status(web), 200);
  assert.equal(await status(db), 403);
  const labels = [`srv_group="${POLICY}"`, 'srv_kind="server"', 'srv_name="server"'];
  labels.push(`srv_port="${server.app.port}"`);
  const by = [`authz_group="${POLICY}"`, 'authz_kind="authorizationpolicy"', 'authz_name="web"'];
  assert.equal(await metricSum(server.pod.ip, 'inbound_http_authz_allow_total', ...labels, ...by), 1);
  assert.equal(await metricSum(server.pod.ip, 'inbound_http_authz_deny_total', ...labels), 2);
  mesh.remove('servers', 'server');
  await mesh.told();
  assert.equal(await status(db), 200);
});

test('a call of gRPC that is denied gets its status in gRPC, and counts as failed on either side', async () => {
  await close();
  const session = await http2Through(mesh.mesh, web.pod.ip, 'server.shop:80');
  const stream = session.request({
    ':method': 'POST',
    ':path': '/shop.Cart/Add',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end();
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  assert.deepEqual([headers[':status'], headers['grpc-status']], [200, '7']);
  const counted = ['status_code="200"', 'classification="failure"', 'grpc_status="7"'];
  const denied = ['direction="inbound"', ...counted, 'error="unauthorized"'];
  assert.equal(await metricSum(server.pod.ip, 'response_total', ...denied), 1);
  assert.equal(await metricSum(web.pod.ip, 'response_total', 'direction="outbound"', ...counted), 1);
});

test('a pod that the control plane does not see yet is closed where a Server could be for it, its probes wait', async () => {
  const late = await mesh.start('late');
  mesh.service('late', late);
  const ofLate = (path: string): Promise<number> =>
    ask(web.pod.ip, `http://late.shop${path}`, {}).then((answer) => answer.status);
  late.known(false);
  await close({ podSelector: { matchLabels: { app: 'late' } } });
  const probe = ofLate('/ready');
  late.known(true);
  assert.deepEqual([await probe, await ofLate('/')], [200, 403]);
  late.known(false);
  await mesh.told();
  assert.deepEqual(
    [await ofLate('/ready'), await ofLate('/')],
    [200, 403],
    'a pod that is gone keeps its policy',
  );
  const never = await mesh.start('never');
  mesh.service('never', never);
  never.known(false);
  assert.equal((await ask(web.pod.ip, 'http://never.shop/')).status, 403, 'it could be for this one, too');
  never.known(true);
  await mesh.told();
  assert.equal((await ask(web.pod.ip, 'http://never.shop/')).status, 200, 'it is not');
});

test('the declared probe alone passes a closed port without a name', async () => {
  await close();
  assert.equal(await status(web, '/ready'), 200);
  assert.equal(await status(web, '/ready', 'POST'), 403);
  assert.equal(await status(web, '/ready/x'), 403);
});

test('audit lets everybody in, and metrics show whom no authorization named', async () => {
  await close({ accessPolicy: 'audit' });
  await authorize('web', 'web');
  assert.deepEqual([await status(web), await status(db)], [200, 200]);
  const allowed = (name: string): Promise<number> =>
    metricSum(server.pod.ip, 'inbound_http_authz_allow_total', 'srv_name="server"', `authz_name="${name}"`);
  assert.equal(await allowed('audit'), 1);
});

const ROUTE = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' };

async function route(name: string, ...rules: object[]): Promise<void> {
  mesh.put('httpRoutes', name, { parentRefs: [SERVER], rules });
  put.push(['httpRoutes', name]);
  await mesh.told();
}

test('routes have clients of their own beside those of their Server; what no route is for is not found', async () => {
  await close();
  await route('read', { matches: [{ path: { value: '/public' }, method: 'GET' }] });
  await route('admin', { matches: [{ path: { value: '/admin' } }] });
  await authorize('web', 'web', { ...ROUTE, name: 'read' });
  await authorize('db', 'db');
  assert.deepEqual([await status(web, '/public/x'), await status(db, '/public/x')], [200, 200]);
  assert.deepEqual([await status(web, '/admin'), await status(db, '/admin')], [403, 200]);
  const nowhere = await ask(db.pod.ip, 'http://server.shop/other');
  assert.deepEqual([nowhere.status, causeOf(nowhere)], [404, 'no-route']);
  assert.equal(await status(db, '/public/x', 'POST'), 404);
  assert.equal(await status(db, '/publicity'), 404);
  const labels = ['route_kind="HTTPRoute"', 'route_name="read"', 'authz_name="web"'];
  const count = (name: string, ...of: string[]): Promise<number> => metricSum(server.pod.ip, name, ...of);
  assert.equal(await count('inbound_http_authz_allow_total', ...labels), 1);
  const ofAdmin = [`parent_port="${server.app.port}"`, 'route_kind="HTTPRoute"', 'route_name="admin"'];
  assert.equal(await count('inbound_http_statuses_total', ...ofAdmin, 'status="200"'), 1);
  assert.equal(await count('inbound_http_statuses_total', ...ofAdmin, 'error="unauthorized"'), 1);
  assert.equal(await count('inbound_http_request_duration_seconds_count', ...ofAdmin), 2);
  assert.equal(await count('inbound_http_route_not_found_total', 'srv_name="server"'), 3);
});

test('the probes are open as long as no route says what is', async () => {
  await close();
  assert.equal(await status(web, '/ready'), 200);
  await route('read', { matches: [{ path: { value: '/public' } }] });
  assert.equal(await status(web, '/ready'), 404);
});

test("Linkerd's HTTPRoutes count as well, by fields and regular expressions; what can't be read is for nothing", async () => {
  await close();
  const rules = [
    { matches: [{ headers: [{ name: 'X-Team', value: 'red|blue', type: 'RegularExpression' }] }] },
    { matches: [{ path: { type: 'RegularExpression', value: '(' } }] },
  ];
  mesh.put('policyHttpRoutes', 'teams', { parentRefs: [SERVER], rules });
  put.push(['policyHttpRoutes', 'teams']);
  await authorize('web', 'web', { group: POLICY, kind: 'HTTPRoute', name: 'teams' });
  const as = async (team: string): Promise<number> =>
    (await ask(web.pod.ip, 'http://server.shop/(', { headers: { 'x-team': team } })).status;
  assert.deepEqual([await as('red'), await as('reds'), await as('green')], [200, 404, 404]);
});

test('filters change what the app gets, or answer in its place; one that nobody knows makes 500', async () => {
  await close();
  await authorize('web', 'web');
  const set = [{ name: 'X-Kept', value: 'by the route' }];
  const add = [{ name: 'x-added', value: 'b' }];
  const requestHeaderModifier = { set, add, remove: ['x-gone'] };
  const requestRedirect = { scheme: 'https', hostname: 'new.example', statusCode: 301 };
  await route(
    'filtered',
    { filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier }] },
    { matches: [{ path: { value: '/old' } }], filters: [{ type: 'RequestRedirect', requestRedirect }] },
    { matches: [{ path: { value: '/odd' } }], filters: [{ type: 'ExtensionRef' }] },
  );
  const headers = { 'x-kept': 'by the client', 'x-added': 'a', 'x-gone': '1' };
  const changed = await ask(web.pod.ip, 'http://server.shop/', { headers });
  assert.equal(changed.status, 200);
  const got = server.last.headers;
  assert.deepEqual([got['x-kept'], got['x-added'], got['x-gone']], ['by the route', 'a, b', undefined]);
  const moved = await ask(web.pod.ip, 'http://server.shop/old/page?q=1', {
    method: 'POST',
    body: 'x'.repeat(200_000),
  });
  assert.deepEqual([moved.status, moved.headers.location], [301, 'https://new.example/old/page?q=1']);
  assert.equal((await ask(web.pod.ip, 'http://server.shop/odd')).status, 500);
  assert.equal(await status(db, '/old'), 403, 'who is not let in is not told where to go either');
});

test('a rate limit takes so many requests a second of all, and so many of each client', async () => {
  await close();
  const accounts = [{ kind: 'ServiceAccount', name: 'db' }];
  await authorize('web', 'web');
  await authorize('db', 'db');
  mesh.put('httpLocalRateLimitPolicies', 'limit', {
    targetRef: SERVER,
    identity: { requestsPerSecond: 1 },
    overrides: [{ requestsPerSecond: 1_000, clientRefs: accounts }],
  });
  put.push(['httpLocalRateLimitPolicies', 'limit']);
  await mesh.told();
  const asked = Array.from({ length: 20 }, () => ask(web.pod.ip, 'http://server.shop/'));
  const answers = await Promise.all(asked);
  assert.ok(answers.some((answer) => answer.status === 200));
  const limited = answers.find((answer) => answer.status === 429);
  assert.equal(limited === undefined ? undefined : causeOf(limited), 'rate-limited');
  const refused = ['ratelimit_name="limit"', 'ratelimit_scope="identity"', 'srv_name="server"'];
  assert.equal(
    await metricSum(server.pod.ip, 'inbound_http_local_ratelimit_total', ...refused),
    answers.filter((answer) => answer.status === 429).length,
  );
  const others = await Promise.all(Array.from({ length: 20 }, () => status(db)));
  assert.deepEqual(new Set(others), new Set([200]));
});
