import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { ask, causeOf, metricSum } from '../../proxy/testing/mesh/http.ts';
import { type PolicyPod, PolicyMesh } from './policy-mesh.ts';

/** What people write, on its whole way to what their clients get. */
let mesh: PolicyMesh;
let web: PolicyPod;
let db: PolicyPod;
let server: PolicyPod;
const POLICY = 'policy.linkerd.io';
const SERVER = { group: POLICY, kind: 'Server', name: 'server' };
const put: (readonly ['servers' | 'authorizationPolicies' | 'policyHttpRoutes' | 'httpRoutes', string])[] =
  [];

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
  const by = [`authz_group="${POLICY}"`, 'authz_kind="authorizationpolicy"', 'authz_name="web"'];
  assert.equal(await metricSum(server.pod.ip, 'inbound_http_authz_allow_total', ...labels, ...by), 1);
  assert.equal(await metricSum(server.pod.ip, 'inbound_http_authz_deny_total', ...labels), 2);
  mesh.remove('servers', 'server');
  await mesh.told();
  assert.equal(await status(db), 200);
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
