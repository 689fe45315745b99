import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { CLOSED_PORT } from '../../../test/testing/addresses.ts';

async function setting(t: TestContext, podIP: string): Promise<TestServer & { pod: string }> {
  const test = await startTestServer(t);
  const { loopback } = test.server;
  await loopback.create('serviceaccounts', { metadata: { name: 'default', namespace: 'default' } });
  const object = {
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ name: 'a', image: 'i' }] },
  };
  await loopback.create('pods', object);
  if (podIP !== '') await test.call('PATCH', `${PODS}/p/status`, { status: { podIP } }, MERGE);
  return { ...test, pod: `${PODS}/p` };
}

const PODS = '/api/v1/namespaces/default/pods';
const MERGE = { 'Content-Type': 'application/merge-patch+json' };

void test('pods/proxy asks the pod with path, query and headers, but never with the credentials, and hands the answer on', async (t) => {
  const { call, pod } = await setting(t, '127.0.0.1');
  const app = createServer((request, response) => {
    const { authorization = 'none', 'x-own': own } = request.headers;
    response.writeHead(418, { 'x-app': 'tea' }).end(`${request.url} ${authorization} ${String(own)}`);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  t.after(() => app.close());
  const { port } = app.address() as AddressInfo;

  for (const name of [`p:${port}`, `http:p:${port}`]) {
    const { code, headers, body } = await call('GET', `${PODS}/${name}/proxy/a%20b/c?d=e`, undefined, {
      Authorization: 'Bearer secret',
      'X-Own': 'mine',
    });
    assert.equal(code, 418);
    assert.equal(headers['x-app'], 'tea');
    assert.deepEqual(body, { text: '/a%20b/c?d=e none mine' });
  }
  assert.deepEqual((await call('GET', `${PODS}/p:${port}/proxy`)).body, { text: '/ none undefined' });
  assert.equal((await call('GET', `${pod}:x/proxy`)).code, 400);
  assert.equal((await call('GET', `${PODS}/none:${port}/proxy`)).code, 404);
});

void test('a pod that cannot be reached is 503, one without an address 400', async (t) => {
  const { call } = await setting(t, '127.0.0.1');
  const { code, body } = await call('GET', `${PODS}/p:${CLOSED_PORT}/proxy/`);
  assert.equal(code, 503);
  assert.match(String(body['message']), /error trying to reach service: .*ECONNREFUSED/);

  const without = await setting(t, '');
  const answer = await without.call('GET', `${PODS}/p:1/proxy/`);
  assert.deepEqual([answer.code, answer.body['message']], [400, 'address not allowed']);
});

void test('who may read pods may not speak with them', async (t) => {
  const { server, call, callAs } = await setting(t, '127.0.0.1');
  await server.loopback.create('serviceaccounts', { metadata: { name: 'viewer', namespace: 'default' } });
  await call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings', {
    metadata: { name: 'viewer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'default' }],
  });
  const { body } = await call('POST', '/api/v1/namespaces/default/serviceaccounts/viewer/token', {
    spec: {},
  });
  const { token } = body['status'] as { token: string };
  assert.equal((await callAs(token, 'GET', `${PODS}/p`)).code, 200);
  assert.equal((await callAs(token, 'GET', `${PODS}/p:80/proxy/`)).code, 403);
});
