import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { CustomResourceDefinition, KubernetesObject } from '../../api/kubernetes-types.ts';
import { createClient } from '../../kubernetes/client.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { Resource } from '../../kubernetes/types.ts';
import { openTestApi, type TestApi } from '../../test/testing/test-api.ts';
import { followOptionalKind } from './optional-kind.ts';

let api: TestApi;
let shop: string;
const cleanups: (() => unknown)[] = [];

before(async () => {
  api = await openTestApi([resources.customResourceDefinitions]);
  shop = await api.namespace('shop');
});
after(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await api.close();
});

function definition(group: string, ...versions: string[]): CustomResourceDefinition {
  const schema = {
    openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  };
  return {
    metadata: { name: `doors.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'doors', singular: 'door', kind: 'Door', listKind: 'DoorList' },
      versions: versions.map((name, i) => ({ name, served: true, storage: i === 0, schema })),
    },
  };
}

test('a kind is followed from when the cluster has it, in the best version that it has, until it is gone', async () => {
  const group = `${api.id}.example.com`;
  const resource = (version: string): Resource => ({
    group,
    version,
    plural: 'doors',
    kind: 'Door',
    namespaced: true,
  });
  const client = createClient(api.config);
  cleanups.push(() => client.close());
  const seen = new Map<string, KubernetesObject | undefined>();
  const kind = followOptionalKind(
    client,
    { resource: resource('v2'), older: ['v1'], terms: () => [] },
    (key, object) => seen.set(key, object),
  );
  cleanups.push(() => kind.stop());
  await kind.synced;
  assert.equal(seen.size, 0);

  await api.put(resources.customResourceDefinitions, definition(group, 'v1'));
  const established = (): boolean =>
    api
      .find(resources.customResourceDefinitions, undefined, `doors.${group}`)
      ?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true;
  await api.until(established);
  const door = { apiVersion: `${group}/v1`, kind: 'Door', metadata: { name: 'front', namespace: shop } };
  await api.client.create(resource('v1'), door);
  await api.until(() => seen.get(`${shop}/front`)?.apiVersion === `${group}/v1`);

  await api.put(resources.customResourceDefinitions, definition(group, 'v2', 'v1'));
  await api.until(() => seen.get(`${shop}/front`)?.apiVersion === `${group}/v2`);

  await api.remove(resources.customResourceDefinitions, undefined, `doors.${group}`);
  await api.until(() => seen.has(`${shop}/front`) && seen.get(`${shop}/front`) === undefined);
});
