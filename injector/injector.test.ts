import assert from 'node:assert/strict';
import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { annotation, LINKERD_WEBHOOK, object } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { type Injector, startInjector } from './injector.ts';
import { makeTestCertificate } from './testing/certificates.ts';
import { context, pod } from './testing/fixture.ts';

const HOST = '127.0.0.1';
const NAME = 'isthmus-injector.isthmus.svc';
const LOOK_EVERY_MS = 10;

async function start(
  t: TestContext,
  options: { adoptLinkerd?: boolean; prepare?: (api: FakeApiServer) => void } = {},
): Promise<{ api: FakeApiServer; injector: Injector }> {
  const api = await new FakeApiServer({ checkNamespaces: false }).start();
  t.after(() => api.stop());
  api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook },
    webhooks: [{ name: 'injector.isthmus.dev', clientConfig: {} }],
  });
  options.prepare?.(api);
  const client = createClient(api.config());
  t.after(() => client.close());
  const injector = startInjector({
    client,
    host: HOST,
    port: 0,
    podName: 'control-plane-1',
    context,
    adoptLinkerd: options.adoptLinkerd ?? false,
    makeCertificate: makeTestCertificate,
    registry: new Registry(),
    log: silentLog,
  });
  t.after(() => injector.stop());
  return { api, injector };
}

/** Readiness tells nobody when it changes: who wants to know looks again. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(LOOK_EVERY_MS);
}

/** Whether a pod in that namespace gets a sidecar, as the API server would be told. */
async function isInjected(
  { api, injector }: { api: FakeApiServer; injector: Injector },
  namespace: string,
  annotations: Record<string, string> = {},
): Promise<boolean> {
  const secret = api.find(resources.secrets, 'isthmus', object.injectorTlsSecret);
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace,
      operation: 'CREATE',
      object: pod(annotations),
    },
  };
  const answer = await new Promise((resolve, reject) => {
    const call = request(
      {
        host: HOST,
        port: injector.port,
        path: '/inject',
        method: 'POST',
        servername: NAME,
        ca: Buffer.from(secret?.data?.['ca.crt'] ?? '', 'base64'),
        agent: false,
      },
      (response) => void json(response).then(resolve, reject),
    );
    call.on('error', reject);
    call.end(JSON.stringify(review));
  });
  return (answer as { response: { patch?: string } }).response.patch !== undefined;
}

test('it is ready only when it serves, the API server knows who signed, and namespaces are read', async (t) => {
  let stage: 'nothing' | 'secret' | 'authority' | 'all' = 'nothing';
  const world = await start(t, {
    prepare: (api) => {
      api.fault = ({ method, path }) => {
        const refused = { kind: 'status' as const, code: 503 };
        if (stage === 'nothing' && path.includes('/secrets')) return refused;
        if ((stage === 'nothing' || stage === 'secret') && method === 'PUT' && path.includes('mutating'))
          return refused;
        return stage !== 'all' && path.endsWith('/namespaces') ? refused : undefined;
      };
    },
  });
  const { injector } = world;
  const says = (pattern: RegExp) => until(() => pattern.test(injector.notReady() ?? 'ready'));
  await says(/certificate is not there yet/);
  stage = 'secret';
  await says(/does not know who signed/);
  stage = 'authority';
  await says(/namespaces are not read yet/);
  stage = 'all';
  await says(/^ready$/);
});

test('a namespace that has not come by the watch is asked for, and one that is nowhere asks for nothing', async (t) => {
  const world = await start(t, {
    prepare: (api) => {
      api.put(resources.namespaces, { metadata: { name: 'old' } });
      // Its list and watch never show the new namespace: only a question for it does.
      api.fault = ({ method, path, query }) =>
        method === 'GET' && path.endsWith('/namespaces') && query.has('watch')
          ? { kind: 'stall' }
          : undefined;
    },
  });
  const { api, injector } = world;
  await until(() => injector.notReady() === undefined);
  api.put(resources.namespaces, {
    metadata: { name: 'new', annotations: { [annotation.inject]: 'enabled' } },
  });
  assert.equal(await isInjected(world, 'new'), true);
  assert.equal(await isInjected(world, 'old'), false);
  assert.equal(await isInjected(world, 'nowhere'), false);
});

test("where Linkerd's webhook stands its annotation is its own, unless it is adopted; ours always counts", async (t) => {
  const linkerd = (api: FakeApiServer) =>
    api.put(resources.mutatingWebhookConfigurations, { metadata: { name: LINKERD_WEBHOOK }, webhooks: [] });
  const beside = await start(t, { prepare: linkerd });
  const adopting = await start(t, { prepare: linkerd, adoptLinkerd: true });
  for (const { injector } of [beside, adopting]) await until(() => injector.notReady() === undefined);
  assert.equal(await isInjected(beside, 'old', { [annotation.linkerdInject]: 'enabled' }), false);
  assert.equal(await isInjected(beside, 'old', { [annotation.inject]: 'enabled' }), true);
  assert.equal(await isInjected(adopting, 'old', { [annotation.linkerdInject]: 'enabled' }), true);
});
