import assert from 'node:assert/strict';
import { createPublicKey, verify, type webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type JsonObject, valueAt } from '../json.ts';
import { CONFIG_MAPS, startTestServer, type TestServer } from '../testing/test-server.ts';

const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

async function makeAccount(server: TestServer, name: string): Promise<string> {
  await server.call('POST', ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  return requestToken(server, name, {});
}

async function requestToken(server: TestServer, name: string, spec: object): Promise<string> {
  const { body } = await server.call('POST', `${ACCOUNTS}/${name}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec,
  });
  const token = valueAt(body, 'status.token');
  assert.equal(typeof token, 'string');
  return String(token);
}

async function review(server: TestServer, token: string, audiences?: string[]): Promise<unknown> {
  const { body } = await server.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, ...(audiences === undefined ? {} : { audiences }) },
  });
  return body['status'];
}

function role(name: string, rules: object[]): object {
  return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name }, rules };
}

function binding(name: string, roleName: string, account: string, kind = 'Role'): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleName },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
  };
}

void test('a token is its ServiceAccount, until it runs out or the account is another', async (t) => {
  let now = Date.now();
  const server = await startTestServer(t, { now: () => now });
  const token = await makeAccount(server, 'a');
  const self = await server.callAs(token, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  assert.equal(valueAt(self.body, 'status.userInfo.username'), 'system:serviceaccount:default:a');
  assert.deepEqual(valueAt(self.body, 'status.userInfo.groups'), [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);

  assert.equal((await server.callAs(`${token.slice(0, -4)}AAAA`, 'GET', '/version')).code, 401);
  await server.call('DELETE', `${ACCOUNTS}/a`);
  await server.call('POST', ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' } });
  assert.equal((await server.callAs(token, 'GET', '/version')).code, 401);

  const next = await requestToken(server, 'a', { expirationSeconds: 600 });
  assert.equal((await server.callAs(next, 'GET', '/version')).code, 200);
  now += 601_000;
  assert.equal((await server.callAs(next, 'GET', '/version')).code, 401);
});

void test('TokenReview holds audiences apart, and a token for another audience does not open this API', async (t) => {
  const server = await startTestServer(t);
  await makeAccount(server, 'a');
  const token = await requestToken(server, 'a', { audiences: ['identity.l5d.io'] });
  const valid = await review(server, token, ['identity.l5d.io', 'other']);
  assert.equal(valueAt(valid, 'authenticated'), true);
  assert.deepEqual(valueAt(valid, 'audiences'), ['identity.l5d.io']);
  assert.equal(valueAt(valid, 'user.username'), 'system:serviceaccount:default:a');
  assert.equal(valueAt(await review(server, token), 'authenticated'), undefined);
  assert.deepEqual(await review(server, 'nonsense'), { user: {}, error: 'invalid bearer token' });
  assert.equal((await server.callAs(token, 'GET', '/version')).code, 401);
});

void test('a token that is bound to a pod ends with the pod', async (t) => {
  const server = await startTestServer(t);
  await makeAccount(server, 'a');
  const pods = '/api/v1/namespaces/default/pods';
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { serviceAccountName: 'a', containers: [{ name: 'c', image: 'i' }] },
  };
  const { body } = await server.call('POST', pods, pod);
  const volume = (valueAt(body, 'spec.volumes') as unknown[])[0];
  assert.match(String(valueAt(volume, 'name')), /^kube-api-access-[a-z0-9]{5}$/);
  const token = await requestToken(server, 'a', {
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' },
  });
  const status = await review(server, token);
  assert.deepEqual(
    Reflect.get(Object(valueAt(status, 'user.extra')), 'authentication.kubernetes.io/pod-name'),
    ['p'],
  );
  await server.call('DELETE', `${pods}/p`);
  assert.equal(valueAt(await review(server, token), 'authenticated'), undefined);
});

void test('nothing is allowed that no role allows: verbs, names, namespaces, subresources, paths', async (t) => {
  const server = await startTestServer(t);
  const token = await makeAccount(server, 'a');
  const denied = await server.callAs(token, 'GET', CONFIG_MAPS);
  assert.equal(denied.code, 403);
  assert.equal(
    denied.body['message'],
    'configmaps is forbidden: User "system:serviceaccount:default:a" cannot list resource "configmaps" in API group "" in the namespace "default"',
  );
  await server.call(
    'POST',
    `${RBAC}/namespaces/default/roles`,
    role('r', [
      { apiGroups: [''], resources: ['configmaps'], verbs: ['list'] },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get'] },
      { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get'] },
    ]),
  );
  await server.call('POST', `${RBAC}/namespaces/default/rolebindings`, binding('b', 'r', 'a'));
  const codeFor = async (method: string, path: string): Promise<number> =>
    (await server.callAs(token, method, path)).code;
  assert.equal(await codeFor('GET', CONFIG_MAPS), 200);
  assert.equal(await codeFor('GET', '/api/v1/configmaps'), 403);
  assert.equal(await codeFor('GET', '/api/v1/namespaces/kube-system/configmaps'), 403);
  assert.equal(await codeFor('DELETE', `${CONFIG_MAPS}/x`), 403);
  assert.equal(await codeFor('GET', '/api/v1/namespaces/default/secrets/one'), 404);
  assert.equal(await codeFor('GET', '/api/v1/namespaces/default/secrets/two'), 403);
  assert.equal(
    await codeFor('GET', '/api/v1/namespaces/default/secrets?fieldSelector=metadata.name%3Done'),
    403,
  );
  assert.equal(await codeFor('GET', '/apis/apps/v1/namespaces/default/deployments/d/scale'), 404);
  assert.equal(await codeFor('GET', '/apis/apps/v1/namespaces/default/deployments/d'), 403);
  assert.equal(await codeFor('GET', '/apis'), 200);
  assert.equal(await codeFor('GET', '/metrics'), 403);
  assert.equal((await server.callAs('', 'GET', '/readyz')).code, 200);
  const anonymous = await server.callAs('', 'GET', '/apis');
  assert.equal(anonymous.body['message'], 'forbidden: User "system:anonymous" cannot get path "/apis"');
});

void test('an apply that finds no object needs the right to create; the audit log has who asked for what', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'audit-'));
  t.after(() => rm(dir, { recursive: true }));
  const auditLog = join(dir, 'audit.log');
  const server = await startTestServer(t, { auditLog });
  const rule = { apiGroups: [''], resources: ['configmaps'], verbs: ['patch'] };
  await server.call('POST', `${RBAC}/namespaces/default/roles`, role('r', [rule]));
  await server.call('POST', `${RBAC}/namespaces/default/rolebindings`, binding('b', 'r', 'a'));
  const apply = () =>
    server.call(
      'PATCH',
      `${CONFIG_MAPS}/c?fieldManager=m`,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } },
      {
        'Content-Type': 'application/apply-patch+yaml',
        'Impersonate-User': 'system:serviceaccount:default:a',
      },
    );
  const refused = await apply();
  assert.equal(refused.code, 403);
  assert.match(
    String(refused.body['message']),
    /^configmaps "c" is forbidden: User .* cannot create resource "configmaps" in API group ""/,
  );
  await server.call('POST', CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } });
  assert.equal((await apply()).code, 200);

  const events = readFileSync(auditLog, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonObject)
    .filter((event) => valueAt(event, 'user.username') === 'system:serviceaccount:default:a');
  const DECISION = 'authorization.k8s.io/decision';
  assert.deepEqual(
    events.map((event) => [
      event['verb'],
      valueAt(event, 'objectRef.resource'),
      (event['annotations'] as Record<string, string>)[DECISION],
    ]),
    [
      ['patch', 'configmaps', 'allow'],
      ['create', 'configmaps', 'forbid'],
      ['patch', 'configmaps', 'allow'],
    ],
  );
});

void test('nobody grants what they do not hold', async (t) => {
  const server = await startTestServer(t);
  const token = await makeAccount(server, 'a');
  await server.call(
    'POST',
    `${RBAC}/namespaces/default/rolebindings`,
    binding('admin', 'admin', 'a', 'ClusterRole'),
  );
  const roles = `${RBAC}/namespaces/default/roles`;
  const held = await server.callAs(
    token,
    'POST',
    roles,
    role('ok', [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }]),
  );
  assert.equal(held.code, 201);
  const beyond = await server.callAs(
    token,
    'POST',
    roles,
    role('no', [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }]),
  );
  assert.equal(beyond.code, 403);
  assert.match(
    String(beyond.body['message']),
    /is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get"\]\}$/,
  );
  const bindings = `${RBAC}/namespaces/default/rolebindings`;
  assert.equal(
    (await server.callAs(token, 'POST', bindings, binding('more', 'cluster-admin', 'a', 'ClusterRole'))).code,
    403,
  );
  assert.equal(
    (await server.callAs(token, 'POST', bindings, binding('same', 'view', 'a', 'ClusterRole'))).code,
    201,
  );
});

void test('aggregated roles follow their parts, and reviews tell what is allowed', async (t) => {
  const server = await startTestServer(t);
  const ask = async (resource: string): Promise<unknown> => {
    const { body } = await server.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: 'bob',
        resourceAttributes: {
          namespace: 'default',
          verb: 'list',
          resource,
          group: resource === 'widgets' ? 'example.com' : '',
        },
      },
    });
    return valueAt(body, 'status.allowed');
  };
  await server.call('POST', `${RBAC}/namespaces/default/rolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'view' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
  });
  assert.equal(await ask('pods'), true);
  assert.equal(await ask('secrets'), false);
  assert.equal(await ask('widgets'), false);
  const stream = await server.watch(`${RBAC}/clusterroles?watch=1&fieldSelector=metadata.name%3Dview`);
  assert.equal((await stream.next())['type'], 'ADDED');
  await server.call('POST', `${RBAC}/clusterroles`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'widgets', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    rules: [{ apiGroups: ['example.com'], resources: ['widgets'], verbs: ['list'] }],
  });
  assert.equal((await stream.next())['type'], 'MODIFIED');
  stream.close();
  assert.equal(await ask('widgets'), true);
});

void test('acting as someone else needs the right to, and groups alone are refused', async (t) => {
  const server = await startTestServer(t);
  const as = async (headers: Record<string, string>): Promise<number> =>
    (await server.call('GET', CONFIG_MAPS, undefined, headers)).code;
  assert.equal(await as({ 'Impersonate-User': 'bob' }), 403);
  assert.equal(await as({ 'Impersonate-User': 'bob', 'Impersonate-Group': 'system:masters' }), 200);
  assert.equal(await as({ 'Impersonate-Group': 'system:unauthenticated' }), 400);
});

void test('tokens can be checked by others with the published key', async (t) => {
  const server = await startTestServer(t);
  const token = await makeAccount(server, 'a');
  const { body } = await server.call('GET', '/openid/v1/jwks');
  const [jwk] = body['keys'] as webcrypto.JsonWebKey[];
  assert.ok(jwk !== undefined);
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  const [header = '', payload = '', signature = ''] = token.split('.');
  const valid = verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  assert.equal(valid, true);
  const configuration = await server.callAs(token, 'GET', '/.well-known/openid-configuration');
  assert.equal(configuration.body['issuer'], server.server.serviceAccountIssuer);
});
