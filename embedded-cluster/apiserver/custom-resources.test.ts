import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valueAt } from './json.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';
const MERGE = { 'Content-Type': 'application/merge-patch+json' };

function definition(plural = 'widgets', kind = 'Widget'): object {
  const version = (name: string, storage: boolean): object => ({
    name,
    served: true,
    storage,
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' },
    },
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            required: ['size'],
            properties: { size: { type: 'integer', minimum: 1 }, color: { type: 'string', default: 'red' } },
          },
          status: { type: 'object', properties: { size: { type: 'integer' } } },
        },
      },
    },
  });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural, singular: plural.slice(0, -1), kind, listKind: `${kind}List`, shortNames: ['wd'] },
      versions: [version('v1', true), version('v1beta1', false)],
    },
  };
}

function widget(name: string, spec: object, metadata: object = {}): object {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name, ...metadata }, spec };
}

/** Defines widgets and waits until the definition says so. */
async function define(server: TestServer): Promise<void> {
  const stream = await server.watch(`${CRDS}?watch=1&fieldSelector=metadata.name%3Dwidgets.example.com`);
  const made = await server.call('POST', CRDS, definition());
  assert.equal(made.code, 201, JSON.stringify(made.body));
  for (;;) {
    const conditions = valueAt(await stream.next(), 'object.status.conditions');
    const established =
      Array.isArray(conditions) &&
      conditions.some(
        (entry) => valueAt(entry, 'type') === 'Established' && valueAt(entry, 'status') === 'True',
      );
    if (established) break;
  }
  stream.close();
}

void test('objects of a definition are pruned, defaulted, validated, counted by generation and seen in every version', async (t) => {
  const server = await startTestServer(t);
  await define(server);
  const { call } = server;
  const made = await call('POST', WIDGETS, { ...widget('a', { size: 2, unknown: 1 }), status: { size: 9 } });
  assert.equal(made.code, 201);
  assert.deepEqual(made.body['spec'], { size: 2, color: 'red' });
  assert.equal(made.body['status'], undefined);
  assert.equal((await call('POST', WIDGETS, widget('b', { size: 0 }))).code, 422);
  assert.equal((await call('POST', WIDGETS, widget('b', {}))).code, 422);

  const status = await call(
    'PATCH',
    `${WIDGETS}/a/status`,
    { status: { size: 1 }, spec: { size: 7 } },
    MERGE,
  );
  assert.deepEqual(
    [
      valueAt(status.body, 'spec.size'),
      valueAt(status.body, 'status.size'),
      valueAt(status.body, 'metadata.generation'),
    ],
    [2, 1, 1],
  );
  const changed = await call('PATCH', `${WIDGETS}/a`, { spec: { size: 3 } }, MERGE);
  assert.equal(valueAt(changed.body, 'metadata.generation'), 2);
  const other = await call('GET', '/apis/example.com/v1beta1/namespaces/default/widgets/a');
  assert.equal(other.body['apiVersion'], 'example.com/v1beta1');
  const unconditional = await call('PUT', `${WIDGETS}/a`, widget('a', { size: 4 }));
  assert.equal(unconditional.code, 422);
  const strategic = await call(
    'PATCH',
    `${WIDGETS}/a`,
    {},
    { 'Content-Type': 'application/strategic-merge-patch+json' },
  );
  assert.equal(strategic.code, 415);

  const scale = await call('GET', `${WIDGETS}/a/scale`);
  assert.deepEqual(scale.body['spec'], { replicas: 3 });
  await call('PATCH', `${WIDGETS}/a/scale`, { spec: { replicas: 5 } }, MERGE);
  assert.equal(valueAt((await call('GET', `${WIDGETS}/a`)).body, 'spec.size'), 5);
});

void test('apply owns what it sets, and another manager is in conflict', async (t) => {
  const server = await startTestServer(t);
  await define(server);
  const type = { 'Content-Type': 'application/apply-patch+yaml' };
  const path = `${WIDGETS}/a?fieldManager=`;
  assert.equal((await server.call('PATCH', `${path}one`, widget('a', { size: 2 }), type)).code, 201);
  const conflict = await server.call('PATCH', `${path}two`, widget('a', { size: 3 }), type);
  assert.equal(conflict.code, 409);
  assert.equal(conflict.body['message'], 'Apply failed with 1 conflict: conflict with "one": .spec.size');
  const forced = await server.call('PATCH', `${path}two&force=true`, widget('a', { size: 3 }), type);
  assert.equal(valueAt(forced.body, 'spec.size'), 3);
  assert.equal((await server.call('PATCH', `${WIDGETS}/a`, widget('a', { size: 3 }), type)).code, 422);
});

void test('a definition takes its objects with it, after their finalizers; then the resource is gone', async (t) => {
  const server = await startTestServer(t);
  await define(server);
  await server.call('POST', WIDGETS, widget('free', { size: 1 }));
  await server.call('POST', WIDGETS, widget('held', { size: 1 }, { finalizers: ['example.com/hold'] }));
  const stream = await server.watch(
    `${WIDGETS}?watch=1&resourceVersion=${String(valueAt((await server.call('GET', WIDGETS)).body, 'metadata.resourceVersion'))}`,
  );
  const crds = await server.watch(
    `${CRDS}?watch=1&resourceVersion=${String(valueAt((await server.call('GET', CRDS)).body, 'metadata.resourceVersion'))}`,
  );
  const deleted = await server.call('DELETE', `${CRDS}/widgets.example.com`);
  assert.deepEqual(valueAt(deleted.body, 'metadata.finalizers'), [
    'customresourcecleanup.apiextensions.k8s.io',
  ]);
  const seen = [await stream.next(), await stream.next()].map((event) => [
    event['type'],
    valueAt(event, 'object.metadata.name'),
  ]);
  assert.deepEqual(seen, [
    ['DELETED', 'free'],
    ['MODIFIED', 'held'],
  ]);
  assert.equal((await server.call('POST', WIDGETS, widget('late', { size: 1 }))).code, 405);
  await server.call('PATCH', `${WIDGETS}/held`, { metadata: { finalizers: null } }, MERGE);
  let event = await crds.next();
  while (event['type'] !== 'DELETED') event = await crds.next();
  assert.equal((await server.call('GET', WIDGETS)).code, 404);
  stream.close();
  crds.close();
});

void test('a second definition of the same kind is not established; after a restart all is served as before', async (t) => {
  const server = await startTestServer(t);
  await define(server);
  await server.call('POST', WIDGETS, widget('a', { size: 1 }));
  const stream = await server.watch(`${CRDS}?watch=1&fieldSelector=metadata.name%3Dzwidgets.example.com`);
  await server.call('POST', CRDS, definition('zwidgets'));
  let conditions = valueAt(await stream.next(), 'object.status.conditions');
  while (!Array.isArray(conditions)) conditions = valueAt(await stream.next(), 'object.status.conditions');
  const names: unknown = conditions.find((entry) => valueAt(entry, 'type') === 'NamesAccepted');
  assert.equal(valueAt(names, 'status'), 'False');
  assert.match(String(valueAt(names, 'message')), /"wd" is already in use|"Widget" is already in use/);
  stream.close();
  await server.restart();
  assert.equal((await server.call('GET', `${WIDGETS}/a`)).code, 200);
  assert.equal((await server.call('GET', '/apis/example.com/v1/namespaces/default/zwidgets')).code, 404);
});
