import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';
import { openCertificates } from '../authn/certificates.ts';
import { isObject, type JsonObject, valueAt } from '../json.ts';
import { CONFIG_MAPS, configMap, startTestServer, type TestServer } from '../testing/test-server.ts';

type Respond = (request: JsonObject) => JsonObject | undefined;

interface Hook {
  server: TestServer;
  /** Every review that came, in order. */
  reviews: JsonObject[];
  serverNames: unknown[];
  /** base64 */
  caBundle: string;
  port: number;
}

/** A webhook behind the Service `hook`, and an API server that reaches it by the Service's EndpointSlice. `respond` undefined: it never answers. */
async function startHook(t: TestContext, respond: Respond): Promise<Hook> {
  const directory = await mkdtemp(join(tmpdir(), 'webhook-'));
  const { ca, server: pair } = await openCertificates(directory, 'hook.default.svc', '127.0.0.1', Date.now);
  const reviews: JsonObject[] = [];
  const serverNames: unknown[] = [];
  const hook = createServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.socket instanceof TLSSocket) serverNames.push(request.socket.servername);
      const review: unknown = valueAt(JSON.parse(Buffer.concat(chunks).toString('utf8')), 'request');
      assert.ok(isObject(review));
      reviews.push(review);
      const answer = respond(review);
      if (answer === undefined) return;
      response.end(
        JSON.stringify({
          kind: 'AdmissionReview',
          apiVersion: 'admission.k8s.io/v1',
          response: { uid: review['uid'], ...answer },
        }),
      );
    });
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const { port } = hook.address() as AddressInfo;
  t.after(async () => {
    hook.closeAllConnections();
    hook.close();
    await rm(directory, { recursive: true });
  });
  const server = await startTestServer(t);
  await server.call('POST', '/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hook' },
    spec: { ports: [{ name: 'https', port: 8443, targetPort: port }] },
  });
  const slice = await server.call('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    ports: [{ name: 'https', port }],
  });
  assert.equal(slice.code, 201, JSON.stringify(slice.body));
  return { server, reviews, serverNames, caBundle: Buffer.from(ca).toString('base64'), port };
}

async function configure(
  { server, caBundle }: Hook,
  kind: 'Mutating' | 'Validating',
  webhook: object = {},
  service: object = {},
): Promise<void> {
  const { code, body } = await server.call(
    'POST',
    `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`,
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name: 'hook' },
      webhooks: [
        {
          name: 'hook.example.com',
          clientConfig: {
            caBundle,
            service: { namespace: 'default', name: 'hook', port: 8443, path: '/check', ...service },
          },
          rules: [
            {
              operations: ['CREATE', 'UPDATE', 'DELETE'],
              apiGroups: [''],
              apiVersions: ['v1'],
              resources: ['configmaps'],
            },
          ],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          ...webhook,
        },
      ],
    },
  );
  assert.equal(code, 201, JSON.stringify(body));
}

function jsonPatch(operations: object[]): JsonObject {
  return {
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
  };
}

void test('a mutating webhook is called at its Service with the right name in TLS, and its patch is taken', async (t) => {
  const hook = await startHook(t, () => jsonPatch([{ op: 'add', path: '/data/added', value: 'yes' }]));
  await configure(hook, 'Mutating');
  const { body } = await hook.server.call('POST', CONFIG_MAPS, configMap('a', { x: '1' }));
  assert.deepEqual(body['data'], { x: '1', added: 'yes' });
  assert.deepEqual(hook.serverNames, ['hook.default.svc']);
  const [review] = hook.reviews;
  assert.equal(review?.['operation'], 'CREATE');
  assert.deepEqual(review?.['resource'], { group: '', version: 'v1', resource: 'configmaps' });
  assert.equal(valueAt(review, 'userInfo.username'), 'kubernetes-admin');
  assert.equal(review?.['oldObject'], null);
});

void test('a validating webhook refuses in its own words, deletions too; others pass', async (t) => {
  const hook = await startHook(t, ({ operation }) =>
    operation === 'UPDATE'
      ? { allowed: true }
      : { allowed: false, status: { message: 'not today', code: 418 } },
  );
  await hook.server.call('POST', CONFIG_MAPS, configMap('a'));
  await configure(hook, 'Validating');
  const refused = await hook.server.call('POST', CONFIG_MAPS, configMap('b'));
  assert.equal(refused.code, 418);
  assert.equal(refused.body['message'], 'admission webhook "hook.example.com" denied the request: not today');
  assert.equal((await hook.server.call('PUT', `${CONFIG_MAPS}/a`, configMap('a', { x: '1' }))).code, 200);
  assert.equal((await hook.server.call('DELETE', `${CONFIG_MAPS}/a`)).code, 418);
  assert.equal(valueAt(hook.reviews.at(-1), 'oldObject.metadata.name'), 'a');
  assert.equal((await hook.server.call('GET', `${CONFIG_MAPS}/a`)).code, 200);
});

void test('selectors keep requests from a webhook', async (t) => {
  const hook = await startHook(t, () => ({ allowed: false }));
  await configure(hook, 'Validating', {
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system'] }],
    },
    objectSelector: { matchLabels: { check: 'yes' } },
  });
  assert.equal((await hook.server.call('POST', CONFIG_MAPS, configMap('a'))).code, 201);
  const labels = { labels: { check: 'yes' } };
  const elsewhere = await hook.server.call(
    'POST',
    '/api/v1/namespaces/kube-system/configmaps',
    configMap('a', {}, labels),
  );
  assert.equal(elsewhere.code, 201);
  const refused = await hook.server.call('POST', CONFIG_MAPS, configMap('b', {}, labels));
  assert.equal(
    refused.body['message'],
    'admission webhook "hook.example.com" denied the request without explanation',
  );
  assert.equal(hook.reviews.length, 1);
});

void test('what can not be called is an error under Fail and nothing under Ignore', async (t) => {
  const hook = await startHook(t, () => undefined);
  await configure(hook, 'Mutating', { timeoutSeconds: 1 });
  const failed = await hook.server.call('POST', CONFIG_MAPS, configMap('a'));
  assert.equal(failed.code, 500);
  assert.equal(
    failed.body['message'],
    'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: Post "https://hook.default.svc:8443/check?timeout=1s": context deadline exceeded',
  );
  const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook';
  await hook.server.call(
    'PATCH',
    path,
    [
      { op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' },
      { op: 'replace', path: '/webhooks/0/clientConfig/service/name', value: 'nobody' },
    ],
    {
      'Content-Type': 'application/json-patch+json',
    },
  );
  assert.equal((await hook.server.call('POST', CONFIG_MAPS, configMap('a'))).code, 201);
});

void test('a certificate that the caBundle does not cover is not trusted', async (t) => {
  const hook = await startHook(t, () => ({ allowed: true }));
  const other = Buffer.from(hook.server.server.caCertificate).toString('base64');
  await configure({ ...hook, caBundle: other }, 'Validating');
  const { code, body } = await hook.server.call('POST', CONFIG_MAPS, configMap('a'));
  assert.equal(code, 500);
  assert.match(
    String(body['message']),
    /failed calling webhook "hook.example.com".*(certificate|unable to verify)/,
  );
  assert.equal(hook.reviews.length, 0);
});

void test('a dry run reaches only webhooks without side effects', async (t) => {
  const hook = await startHook(t, () => ({ allowed: true, warnings: ['mind this'] }));
  await configure(hook, 'Validating');
  const { headers } = await hook.server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('a'));
  assert.equal(headers['warning'], '299 - "mind this"');
  assert.equal(hook.reviews[0]?.['dryRun'], true);
  assert.equal((await hook.server.call('GET', `${CONFIG_MAPS}/a`)).code, 404);
});
