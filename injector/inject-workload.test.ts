import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { CronJobLike } from './testing/workloads.ts';
import { cronJob, deployment } from './testing/workloads.ts';
import { injectManifest } from './inject-workload.ts';
import { context, pod } from './testing/fixture.ts';
import type { Deployment, KubernetesObject } from '../api/kubernetes-types.ts';

const ANNOTATE = { kind: 'annotate', value: 'enabled' } as const;
const MANUAL = { kind: 'manual', context, namespace: 'shop' } as const;

test('a Deployment’s template asks for the sidecar; nothing else changes', () => {
  const before = deployment();
  const { document, reports } = injectManifest(before, ANNOTATE);
  const after = document as Deployment;
  assert.equal(after.spec?.template.metadata?.annotations?.['isthmus.dev/inject'], 'enabled');
  assert.equal(after.metadata?.annotations, undefined);
  assert.deepEqual(after.spec?.template.spec, before.spec?.template.spec);
  assert.deepEqual(reports, [
    { kind: 'Deployment', name: 'web', namespace: 'shop', changed: true, warnings: [] },
  ]);
  assert.deepEqual(before, deployment(), 'the input is left as it was');
});

test('Pods, CronJobs, Namespaces and the items of Lists are transformed where their pods are asked for', () => {
  const list: KubernetesObject & { items: KubernetesObject[] } = {
    apiVersion: 'v1',
    kind: 'List',
    items: [pod(), cronJob(), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }],
  };
  const { document, reports } = injectManifest(list, ANNOTATE);
  const [onPod, onCronJob, onNamespace] = (document as typeof list).items;
  const asked = { 'isthmus.dev/inject': 'enabled' };
  assert.deepEqual(onPod?.metadata?.annotations, asked);
  assert.deepEqual((onCronJob as CronJobLike).spec.jobTemplate.spec.template.metadata?.annotations, asked);
  assert.deepEqual(onNamespace?.metadata?.annotations, asked);
  assert.deepEqual(
    reports.map(({ kind, changed }) => [kind, changed]),
    [
      ['Pod', true],
      ['CronJob', true],
      ['Namespace', true],
    ],
  );
});

test('what has no pods comes back as it was, with the reason', () => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } };
  const { document, reports } = injectManifest(service, ANNOTATE);
  assert.equal(document, service);
  assert.match(reports[0]?.reason ?? '', /no pods/);
});

test('by hand the whole sidecar is written, and taken out again without a trace', () => {
  const { document, reports } = injectManifest(deployment(), MANUAL);
  const injected = document as Deployment;
  assert.equal(injected.spec?.template.spec?.initContainers?.[0]?.name, 'isthmus-proxy');
  assert.equal(injected.apiVersion, 'apps/v1');
  assert.equal(reports[0]?.changed, true);
  const again = injectManifest(injected, MANUAL);
  assert.match(again.reports[0]?.reason ?? '', /has a sidecar already/);
  const { document: bare } = injectManifest(injected, { kind: 'remove' });
  const template = (bare as Deployment).spec?.template;
  assert.deepEqual(template?.metadata, { labels: { app: 'web' } });
  assert.equal(template.spec?.initContainers, undefined);
  assert.equal(template.spec?.volumes, undefined);
  assert.deepEqual(
    template.spec?.containers[0]?.env?.map(({ name }) => name),
    ['POD_IP', 'OWN'],
  );
});

test('the container that sets the rules is taken out with the sidecar', () => {
  const manual = { ...MANUAL, context: { ...MANUAL.context, proxyMode: 'redirect' as const } };
  const names = (document: unknown): string[] | undefined =>
    (document as Deployment).spec?.template.spec?.initContainers?.map(({ name }) => name);
  const { document } = injectManifest(deployment(), manual);
  assert.deepEqual(names(document), ['isthmus-init', 'isthmus-proxy']);
  assert.deepEqual(names(injectManifest(document, { kind: 'remove' }).document), undefined);
});

test('opting out goes before a namespace that is injected', () => {
  const { document } = injectManifest(deployment(), { kind: 'disable' });
  assert.equal(
    (document as Deployment).spec?.template.metadata?.annotations?.['isthmus.dev/inject'],
    'disabled',
  );
});
