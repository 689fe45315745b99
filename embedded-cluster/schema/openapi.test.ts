import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinTypes, openApiV3Document, openApiV3Index } from './index.ts';

const types = builtinTypes();

test('the index names every served group-version', () => {
  const { paths } = openApiV3Index(types);
  assert.match(paths['api/v1']?.serverRelativeURL ?? '', /^\/openapi\/v3\/api\/v1\?hash=[0-9A-F]{32}$/);
  assert.ok(paths['apis/apps/v1']);
  for (const { resource } of types) {
    const { group, version } = resource;
    assert.ok(paths[group === '' ? `api/${version}` : `apis/${group}/${version}`], `${group}/${version}`);
  }
});

test('a document is closed: every reference leads to a schema in it, in the form of OpenAPI 3.0', () => {
  for (const [group, version] of [
    ['', 'v1'],
    ['apps', 'v1'],
    ['apiextensions.k8s.io', 'v1'],
  ] as const) {
    const document = openApiV3Document(group, version, types);
    assert.ok(document);
    const { schemas } = document['components'] as { schemas: Record<string, unknown> };
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference = '']) => reference);
    assert.ok(references.length > 10);
    for (const reference of new Set(references)) {
      assert.ok(schemas[reference.replace('#/components/schemas/', '')], reference);
    }
    assert.doesNotMatch(text, /"\$ref":"[^"]+",|,"\$ref"/, 'a reference has no siblings');
  }
});

test('what kubectl looks for: kinds, merge keys and the parameters of a patch', () => {
  const document = openApiV3Document('apps', 'v1', types);
  assert.ok(document);
  const { schemas } = document['components'] as { schemas: Record<string, Record<string, unknown>> };
  assert.deepEqual(schemas['io.k8s.api.apps.v1.Deployment']?.['x-kubernetes-group-version-kind'], [
    { group: 'apps', version: 'v1', kind: 'Deployment' },
  ]);
  const podSpec = schemas['io.k8s.api.core.v1.PodSpec'] as {
    properties: Record<string, Record<string, unknown>>;
  };
  assert.equal(podSpec.properties['containers']?.['x-kubernetes-patch-merge-key'], 'name');
  const paths = document['paths'] as Record<string, Record<string, Record<string, unknown>>>;
  const patch = paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']?.['patch'];
  assert.deepEqual(patch?.['x-kubernetes-group-version-kind'], {
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
  });
  const parameters = patch['parameters'] as { name: string }[];
  assert.deepEqual(
    parameters.map(({ name }) => name),
    ['dryRun', 'fieldManager', 'fieldValidation', 'force'],
  );
});

test('an unknown group-version has no document', () => {
  assert.equal(openApiV3Document('nowhere.dev', 'v1', types), undefined);
});
