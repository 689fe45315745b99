import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { CronJobLike } from './testing/workloads.ts';
import { cronJob, deployment } from './testing/workloads.ts';
import { admit } from './admission.ts';
import type { InjectionContext } from './context.ts';
import { injectManifest } from './inject-workload.ts';
import { anyNamespaceAnnotations, anyTemplate } from './testing/any-template.ts';
import { applyPatch, context, pod } from './testing/fixture.ts';
import type { Deployment, KubernetesObject, Pod, PodTemplateSpec } from '../api/kubernetes-types.ts';

const ANNOTATE = { kind: 'annotate', value: 'enabled', namespace: 'shop' } as const;
const MANUAL = { kind: 'manual', context, namespace: 'shop', namespaceMeta: () => undefined } as const;

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

test('what the webhook would leave alone is left alone, with its reason', () => {
  const onHost = deployment();
  Object.assign(onHost.spec?.template.spec ?? {}, { hostNetwork: true });
  const { document, reports } = injectManifest(onHost, ANNOTATE);
  assert.equal(document, onHost);
  assert.match(reports[0]?.reason ?? '', /hostNetwork/);
  const system = { ...deployment(), metadata: { name: 'dns', namespace: 'kube-system' } };
  assert.match(injectManifest(system, ANNOTATE).reports[0]?.reason ?? '', /never injected/);
});

test('what is so already comes back as it was', () => {
  const asking = injectManifest(deployment(), ANNOTATE).document;
  assert.equal(injectManifest(asking, ANNOTATE).document, asking);
  const bare = deployment();
  const { document, reports } = injectManifest(bare, { kind: 'remove' });
  assert.equal(document, bare);
  assert.deepEqual([reports[0]?.changed, reports[0]?.reason], [false, 'it is so already']);
});

test('a kind of the same name in another group is none of ours', () => {
  const foreign = { ...deployment(), apiVersion: 'example.com/v1' };
  const { document, reports } = injectManifest(foreign, ANNOTATE);
  assert.equal(document, foreign);
  assert.match(reports[0]?.reason ?? '', /no pods/);
});

test('items of a list of one kind need not say what they are; a list without workloads comes back as it was', () => {
  const { apiVersion: _version, kind: _kind, ...bare } = deployment();
  const list = { apiVersion: 'apps/v1', kind: 'DeploymentList', items: [bare] };
  const { document, reports } = injectManifest(list, ANNOTATE);
  assert.equal(reports[0]?.kind, 'Deployment');
  const [item] = (document as typeof list).items as Deployment[];
  assert.equal(item?.spec?.template.metadata?.annotations?.['isthmus.dev/inject'], 'enabled');
  const empty = { apiVersion: 'v1', kind: 'ConfigMapList', items: [{ metadata: { name: 'c' } }] };
  assert.equal(injectManifest(empty, ANNOTATE).document, empty);
});

/** What the webhook makes of a pod of a template. */
async function admitted(
  template: PodTemplateSpec,
  annotations: Record<string, string>,
  own: InjectionContext,
): Promise<PodTemplateSpec> {
  const object: Pod = { apiVersion: 'v1', kind: 'Pod', ...template };
  const request = {
    uid: 'u',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'shop',
    operation: 'CREATE',
    object,
  };
  const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
  const { response } = await admit(JSON.stringify(review), {
    context: () => own,
    namespace: () => Promise.resolve({ metadata: { name: 'shop', annotations } }),
    decided: () => undefined,
  });
  const patch = response?.patch;
  if (patch === undefined) return template;
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString()) as Parameters<typeof applyPatch>[1];
  const { metadata, spec } = applyPatch({ metadata: {}, ...object }, operations);
  return { ...(metadata === undefined ? {} : { metadata }), ...(spec === undefined ? {} : { spec }) };
}

function templateOf(document: KubernetesObject): PodTemplateSpec {
  return (document as Deployment).spec?.template ?? {};
}

function withoutAsking(template: PodTemplateSpec): PodTemplateSpec {
  const { 'isthmus.dev/inject': _asking, ...annotations } = template.metadata?.annotations ?? {};
  return { ...template, metadata: { ...template.metadata, annotations } };
}

test('by hand, by annotation and by namespace come to the same as the webhook makes it', async () => {
  const modes = fc.constantFrom('explicit', 'redirect' as const);
  await fc.assert(
    fc.asyncProperty(
      anyTemplate,
      anyNamespaceAnnotations,
      modes,
      async (template, namespaceOwn, proxyMode) => {
        const own: InjectionContext = { ...context, proxyMode };
        const base = deployment();
        const subject: Deployment = { ...base, spec: { ...base.spec, selector: {}, template } };
        const byNamespace = await admitted(
          template,
          { ...namespaceOwn, 'isthmus.dev/inject': 'enabled' },
          own,
        );

        const namespaceMeta = () => ({ annotations: namespaceOwn });
        const manual = injectManifest(subject, {
          kind: 'manual',
          context: own,
          namespace: 'shop',
          namespaceMeta,
        });
        assert.deepEqual(templateOf(manual.document), byNamespace);

        const asking = templateOf(injectManifest(subject, ANNOTATE).document);
        const byAnnotation = await admitted(asking, namespaceOwn, own);
        if (asking !== template) assert.deepEqual(withoutAsking(byAnnotation), withoutAsking(byNamespace));
      },
    ),
  );
});

test('what was injected by hand is taken out to the last trace, whatever the pod has', () => {
  const modes = fc.constantFrom('explicit', 'redirect' as const);
  fc.assert(
    fc.property(anyTemplate, modes, (template, proxyMode) => {
      const base = deployment();
      const subject: Deployment = { ...base, spec: { ...base.spec, selector: {}, template } };
      const manual = { ...MANUAL, context: { ...context, proxyMode } };
      const { document } = injectManifest(subject, manual);
      const bare = injectManifest(document, { kind: 'remove' }).document;
      assert.deepEqual(templateOf(bare), templateOf(injectManifest(subject, { kind: 'remove' }).document));
    }),
    { numRuns: 50 },
  );
});
