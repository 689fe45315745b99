import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { Registry } from 'prom-client';

import type { Pod, ReplicaSet } from '../api/kubernetes-types.ts';
import { component, object } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { webhookHost } from '../test/testing/api-server.ts';
import { becomes } from '../test/testing/eventually.ts';
import { openTestApi, type TestApi } from '../test/testing/test-api.ts';
import type { ProxyMode } from './context.ts';
import { startInjector } from './index.ts';
import { makeTestCertificate } from './testing/certificates.ts';
import { context } from './testing/fixture.ts';

let api: TestApi;
let shop: string;
let mesh: string;
const cleanups: (() => unknown)[] = [];

before(async () => {
  const { mutatingWebhookConfigurations, secrets, pods, replicaSets, events } = resources;
  api = await openTestApi([mutatingWebhookConfigurations, secrets, replicaSets, pods, events]);
  shop = await api.namespace('shop');
  mesh = await api.namespace('isthmus');
  await api.client.create(resources.serviceAccounts, { metadata: { name: 'web', namespace: shop } });
});
afterEach(async () => {
  await api.clear();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
after(() => api.close());

/** Starts an injector whose webhook the API server calls by its URL; resolves when it does. */
async function start(proxyMode: ProxyMode): Promise<void> {
  const client = createClient(api.config);
  cleanups.push(() => client.close());
  const injector = startInjector({
    client,
    host: webhookHost,
    port: 0,
    podName: 'injector-1',
    context: { ...context, meshNamespace: mesh, proxyMode },
    adoptLinkerd: false,
    makeCertificate: (options) => makeTestCertificate({ ...options, addresses: [webhookHost] }),
    registry: new Registry(),
    log: silentLog,
  });
  cleanups.push(() => injector.stop());
  await api.until(() => injector.port !== undefined);
  await api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook },
    webhooks: [
      {
        name: 'injector.isthmus.dev',
        admissionReviewVersions: ['v1'],
        sideEffects: 'NoneOnDryRun',
        failurePolicy: 'Fail',
        timeoutSeconds: 30,
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': shop } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        clientConfig: { url: `https://${webhookHost}:${injector.port}/inject` },
      },
    ],
  });
  await called();
}

/** Resolves once the API server calls the webhook, with the CA that the injector has written: it learns of a configuration a moment after it was written. */
async function called(): Promise<void> {
  const look = async (): Promise<boolean> => {
    const dry = await api.client.create(resources.pods, pod('canary'), { dryRun: true });
    return containersOf(dry).includes(component.proxy);
  };
  await becomes('the webhook to be called', look, { limitMs: 60_000, everyMs: 50 });
}

function pod(name: string, annotations: Record<string, string> = { 'isthmus.dev/inject': 'enabled' }): Pod {
  return { metadata: { name, namespace: shop, annotations }, spec: podSpec() };
}

function podSpec(): NonNullable<Pod['spec']> {
  return {
    schedulerName: 'nobody',
    serviceAccountName: 'web',
    containers: [
      {
        name: 'app',
        image: 'test.invalid/app:1',
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
      },
    ],
  };
}

function containersOf({ spec }: Pod): string[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name }) => name);
}

for (const mode of ['explicit', 'redirect'] as const) {
  test(`the API server takes the pod that the webhook makes (${mode})`, async () => {
    await start(mode);
    const made = await api.put(resources.pods, pod('web'));
    const sidecar = made.spec?.initContainers?.find(({ name }) => name === component.proxy);
    assert.equal(sidecar?.restartPolicy, 'Always');
    assert.equal(made.spec?.containers[0]?.name, 'app');
    assert.equal(made.metadata?.labels?.['isthmus.dev/control-plane-ns'], mesh);
  });
}

test('the pods of a ReplicaSet are injected, and it is told so', async () => {
  await start('explicit');
  const labels = { app: 'set' };
  const set: ReplicaSet = {
    metadata: { name: 'set', namespace: shop },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { 'isthmus.dev/inject': 'enabled' } },
        spec: podSpec(),
      },
    },
  };
  await api.put(resources.replicaSets, set);
  await api.until(() =>
    api
      .list(resources.pods)
      .some(
        (made) => made.metadata?.labels?.['app'] === 'set' && containersOf(made).includes(component.proxy),
      ),
  );
  await api.until(() =>
    api
      .list(resources.events)
      .some(({ involvedObject, reason }) => involvedObject.name === 'set' && reason === 'Injected'),
  );
});

test('a pod that does not ask, or can not be injected, is stored as it came', async () => {
  await start('explicit');
  const host = pod('host');
  if (host.spec !== undefined) host.spec.hostNetwork = true;
  const disabled = pod('disabled', { 'isthmus.dev/inject': 'disabled' });
  for (const asked of [pod('plain', {}), disabled, host])
    assert.deepEqual(containersOf(await api.put(resources.pods, asked)), ['app']);
});
