import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CustomResourceDefinition } from '../../api/kubernetes-types.ts';
import { type KubernetesClient, KubernetesError } from '../../kubernetes/types.ts';
import { allServed, applyCustomResourceDefinitions, applyObjects } from './apply.ts';

const crd: CustomResourceDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'cats.example.org' },
  spec: {
    group: 'example.org',
    scope: 'Namespaced',
    names: { plural: 'cats', kind: 'Cat' },
    versions: [
      { name: 'v1', served: true, storage: true },
      { name: 'v0', served: false, storage: false },
    ],
  },
  status: { conditions: [{ type: 'Established', status: 'True' }] },
};

test('a definition that is on its way out is waited for before it is made anew', async () => {
  const leaving = { ...crd, metadata: { ...crd.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  const steps: string[] = [];
  let left = 2;
  const client = {
    get: async () => {
      if (steps.includes('create')) return crd;
      steps.push('get');
      if (left-- > 0) return leaving;
      throw new KubernetesError('not found', 404, 'NotFound');
    },
    create: async () => void steps.push('create'),
    raw: async (_: string, path: string) =>
      path === '/apis'
        ? { groups: [{ name: 'example.org' }] }
        : { resources: [{ name: 'cats', kind: 'Cat', namespaced: true }] },
  } as unknown as KubernetesClient;
  await applyCustomResourceDefinitions(client, [crd]);
  assert.deepEqual(steps, ['get', 'get', 'get', 'create']);
});

test('a replica of the API server that does not know a namespace yet is asked again; other refusals are final', async () => {
  const answers = [404, 404, 200, 403];
  const client = {
    apply: async () => {
      const code = answers.shift() ?? 500;
      if (code !== 200) throw new KubernetesError('namespaces "shop" not found', code, 'NotFound');
    },
  } as unknown as KubernetesClient;
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace: 'shop' } };
  await applyObjects(client, [object]);
  assert.deepEqual(answers, [403]);
  await assert.rejects(applyObjects(client, [object]), { code: 403 });
  assert.deepEqual(answers, []);
});

test('an established definition counts once discovery names its group, then its version, then its kind', async () => {
  const group = { groups: [{ name: 'example.org' }] };
  const cats = { resources: [{ name: 'cats', kind: 'Cat', namespaced: true }] };
  const notFound = (): never => {
    throw new KubernetesError('404 page not found', 404, 'NotFound');
  };
  const looks: Record<string, () => unknown>[] = [
    { '/apis': () => ({ groups: [] }) },
    { '/apis': () => group, '/apis/example.org/v1': notFound },
    { '/apis': () => group, '/apis/example.org/v1': () => ({ resources: [] }) },
    { '/apis': () => group, '/apis/example.org/v1': () => cats },
  ];
  let look: Record<string, () => unknown> = {};
  const asked: string[] = [];
  const client = {
    get: () => {
      look = looks.shift() ?? {};
      return Promise.resolve(crd);
    },
    raw: async (_: string, path: string) => {
      asked.push(path);
      return look[path]?.();
    },
  } as unknown as KubernetesClient;
  await allServed(client, [crd]);
  assert.deepEqual(looks, []);
  assert.equal(asked.length, 7, 'the version that is not served is not asked for');
});
