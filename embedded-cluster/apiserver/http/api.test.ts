import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valueAt } from '../json.ts';
import { Store } from '../store/store.ts';
import { CONFIG_MAPS, configMap, startTestServer } from '../testing/test-server.ts';

void test('create, read, update, delete, and the failures between', async (t) => {
  const { call } = await startTestServer(t);
  const created = await call('POST', CONFIG_MAPS, configMap('a', { x: '1' }));
  assert.equal(created.code, 201);
  assert.equal(valueAt(created.body, 'metadata.namespace'), 'default');
  assert.match(String(valueAt(created.body, 'metadata.uid')), /^[0-9a-f-]{36}$/);

  const again = await call('POST', CONFIG_MAPS, configMap('a'));
  assert.equal(again.code, 409);
  assert.deepEqual(again.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "a" already exists',
    reason: 'AlreadyExists',
    details: { name: 'a', kind: 'configmaps' },
    code: 409,
  });

  const updated = await call('PUT', `${CONFIG_MAPS}/a`, { ...created.body, data: { x: '2' } });
  assert.equal(updated.code, 200);
  const stale = await call('PUT', `${CONFIG_MAPS}/a`, { ...created.body, data: { x: '3' } });
  assert.equal(stale.code, 409);
  assert.equal(
    stale.body['message'],
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  );
  const same = await call('PUT', `${CONFIG_MAPS}/a`, updated.body);
  assert.equal(
    valueAt(same.body, 'metadata.resourceVersion'),
    valueAt(updated.body, 'metadata.resourceVersion'),
  );

  const deleted = await call('DELETE', `${CONFIG_MAPS}/a`);
  assert.deepEqual(deleted.body['details'], {
    name: 'a',
    kind: 'configmaps',
    uid: valueAt(created.body, 'metadata.uid'),
  });
  const missing = await call('GET', `${CONFIG_MAPS}/a`);
  assert.equal(missing.code, 404);
  assert.equal(missing.body['message'], 'configmaps "a" not found');
});

void test('an object with finalizers stays, marked, until the last of them has gone', async (t) => {
  const { call } = await startTestServer(t);
  await call('POST', CONFIG_MAPS, configMap('f', {}, { finalizers: ['example.com/hold'] }));
  const deleted = await call('DELETE', `${CONFIG_MAPS}/f`);
  assert.notEqual(valueAt(deleted.body, 'metadata.deletionTimestamp'), undefined);
  assert.equal((await call('GET', `${CONFIG_MAPS}/f`)).code, 200);
  const merge = { 'Content-Type': 'application/merge-patch+json' };
  const added = await call(
    'PATCH',
    `${CONFIG_MAPS}/f`,
    { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } },
    merge,
  );
  assert.equal(added.code, 422);
  assert.equal(
    (await call('PATCH', `${CONFIG_MAPS}/f`, { metadata: { finalizers: null } }, merge)).code,
    200,
  );
  assert.equal((await call('GET', `${CONFIG_MAPS}/f`)).code, 404);
});

void test('pages of a list are one snapshot; a foreign token is refused', async (t) => {
  const { call } = await startTestServer(t);
  for (const name of ['p1', 'p2', 'p3']) await call('POST', CONFIG_MAPS, configMap(name));
  const first = await call('GET', `${CONFIG_MAPS}?limit=2`);
  assert.equal(valueAt(first.body, 'metadata.remainingItemCount'), 1);
  await call('DELETE', `${CONFIG_MAPS}/p3`);
  await call('POST', CONFIG_MAPS, configMap('p4'));
  const token = encodeURIComponent(String(valueAt(first.body, 'metadata.continue')));
  const second = await call('GET', `${CONFIG_MAPS}?limit=2&continue=${token}`);
  const names = (second.body['items'] as unknown[]).map((item) => valueAt(item, 'metadata.name'));
  assert.deepEqual(names, ['p3']);
  assert.equal(
    valueAt(second.body, 'metadata.resourceVersion'),
    valueAt(first.body, 'metadata.resourceVersion'),
  );
  assert.equal((await call('GET', `${CONFIG_MAPS}?continue=nonsense`)).code, 400);
});

void test('labels and fields select; what can not be selected by is an error', async (t) => {
  const { call } = await startTestServer(t);
  await call('POST', CONFIG_MAPS, configMap('l1', {}, { labels: { app: 'x', tier: 'front' } }));
  await call('POST', CONFIG_MAPS, configMap('l2', {}, { labels: { app: 'y' } }));
  await call('POST', CONFIG_MAPS, configMap('l3'));
  const select = async (query: string): Promise<unknown[]> => {
    const { body } = await call('GET', `${CONFIG_MAPS}?${query}`);
    return (body['items'] as unknown[]).map((item) => valueAt(item, 'metadata.name'));
  };
  assert.deepEqual(await select('labelSelector=app%3Dx'), ['l1']);
  assert.deepEqual(await select('labelSelector=app+in+(x,y),!tier'), ['l2']);
  assert.deepEqual(await select('labelSelector=app!%3Dx'), ['l2', 'l3']);
  assert.deepEqual(await select('fieldSelector=metadata.name!%3Dl2'), ['l1', 'l3']);
  const wrong = await call('GET', `${CONFIG_MAPS}?fieldSelector=data.x%3D1`);
  assert.equal(wrong.code, 400);
  assert.equal(
    wrong.body['message'],
    '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
  );
});

void test('a watch tells what comes after its resourceVersion, as its selector sees it', async (t) => {
  const { call, watch } = await startTestServer(t);
  const list = await call('GET', CONFIG_MAPS);
  const from = String(valueAt(list.body, 'metadata.resourceVersion'));
  const stream = await watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${from}&labelSelector=on%3Dyes`);
  const merge = { 'Content-Type': 'application/merge-patch+json' };
  await call('POST', CONFIG_MAPS, configMap('w'));
  for (const on of ['yes', 'yes', 'no']) {
    await call(
      'PATCH',
      `${CONFIG_MAPS}/w`,
      { metadata: { labels: { on, at: String(Math.random()) } } },
      merge,
    );
  }
  const types = [await stream.next(), await stream.next(), await stream.next()].map(({ type }) => type);
  assert.deepEqual(types, ['ADDED', 'MODIFIED', 'DELETED']);
  stream.close();
});

void test('initial events end with their bookmark', async (t) => {
  const { call, watch } = await startTestServer(t);
  await call('POST', CONFIG_MAPS, configMap('i'));
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const stream = await watch(`${CONFIG_MAPS}?${query}`);
  assert.equal((await stream.next())['type'], 'ADDED');
  const bookmark = await stream.next();
  assert.equal(bookmark['type'], 'BOOKMARK');
  assert.deepEqual(valueAt(bookmark, 'object.metadata.annotations'), { 'k8s.io/initial-events-end': 'true' });
  stream.close();
});

void test('a watch and a page from a revision that was compacted are told 410', async (t) => {
  const test = await startTestServer(t);
  for (const name of ['i', 'j', 'k']) await test.call('POST', CONFIG_MAPS, configMap(name));
  const page = await test.call('GET', `${CONFIG_MAPS}?limit=1`);
  await test.restart((path) => {
    const store = new Store({ path, now: Date.now, windowCount: 0 });
    const object = store.get('configmaps', 'default', 'i');
    assert.ok(object !== undefined);
    store.put('configmaps', object);
    store.compact();
    store.close();
  });
  const stream = await test.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=2`);
  const event = await stream.next();
  assert.equal(event['type'], 'ERROR');
  assert.equal(valueAt(event, 'object.code'), 410);
  assert.equal(valueAt(event, 'object.reason'), 'Expired');
  stream.close();
  const token = encodeURIComponent(String(valueAt(page.body, 'metadata.continue')));
  const next = await test.call('GET', `${CONFIG_MAPS}?limit=1&continue=${token}`);
  assert.equal(next.code, 410);
  assert.equal(next.body['reason'], 'Expired');
});

void test('everything acknowledged is there after a restart, and a watch resumes over it', async (t) => {
  const test = await startTestServer(t);
  const { body } = await test.call('POST', CONFIG_MAPS, configMap('r', { x: '1' }));
  const version = String(valueAt(body, 'metadata.resourceVersion'));
  await test.call('PUT', `${CONFIG_MAPS}/r`, configMap('r', { x: '2' }));
  await test.restart();
  const stream = await test.watch(`${CONFIG_MAPS}?watch=1&resourceVersion=${version}`);
  const event = await stream.next();
  assert.equal(event['type'], 'MODIFIED');
  assert.equal(valueAt(event, 'object.data.x'), '2');
  stream.close();
});

void test('tables, metadata only, dry run, and warnings for unknown fields', async (t) => {
  const { call } = await startTestServer(t);
  const dry = await call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('d'));
  assert.equal(dry.code, 201);
  assert.equal((await call('GET', `${CONFIG_MAPS}/d`)).code, 404);
  const unknown = await call('POST', CONFIG_MAPS, { ...configMap('u'), bogus: 1 });
  assert.equal(unknown.headers['warning'], '299 - "unknown field \\"bogus\\""');
  const strict = await call('POST', `${CONFIG_MAPS}?fieldValidation=Strict`, { ...configMap('s'), bogus: 1 });
  assert.equal(strict.code, 400);
  assert.equal(
    strict.body['message'],
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "bogus"',
  );
  const table = await call('GET', `${CONFIG_MAPS}/u`, undefined, {
    Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  });
  assert.equal(table.body['kind'], 'Table');
  assert.equal(valueAt((table.body['rows'] as unknown[])[0], 'object.kind'), 'PartialObjectMetadata');
  const partial = await call('GET', CONFIG_MAPS, undefined, {
    Accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  });
  assert.equal(partial.body['kind'], 'PartialObjectMetadataList');
});

void test('paths: discovery in both forms, health, an unknown page, a body beyond the limit', async (t) => {
  const { call } = await startTestServer(t);
  const groups = await call('GET', '/apis', undefined, {
    Accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json',
  });
  assert.equal(groups.body['kind'], 'APIGroupDiscoveryList');
  const plain = await call('GET', '/apis/apps/v1');
  const names = (plain.body['resources'] as unknown[]).map((entry) => valueAt(entry, 'name'));
  assert.ok(names.includes('deployments') && names.includes('deployments/scale'));
  assert.deepEqual((await call('GET', '/readyz')).body, { text: 'ok' });
  assert.equal((await call('GET', '/nothing')).code, 404);
  assert.equal((await call('GET', '/apis/none.example/v1/things')).code, 404);
  const large = await call('POST', CONFIG_MAPS, configMap('big', { x: 'y'.repeat(4 * 1024 * 1024) }));
  assert.equal(large.code, 413);
});

void test('Services get addresses and ports of their own; a namespace that is missing or going takes nothing', async (t) => {
  const { call } = await startTestServer(t);
  const services = '/api/v1/namespaces/default/services';
  const service = (name: string, spec: object): object => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  const made = await Promise.all(
    ['s1', 's2', 's3'].map((name) => call('POST', services, service(name, { type: 'NodePort' }))),
  );
  const addresses = new Set(made.map(({ body }) => valueAt(body, 'spec.clusterIP')));
  assert.equal(addresses.size, 3);
  for (const address of addresses) assert.match(String(address), /^10\.96\./);
  const taken = await call('POST', services, service('s4', { clusterIP: [...addresses][0] }));
  assert.equal(taken.code, 422);
  assert.match(String(taken.body['message']), /provided IP is already allocated/);
  assert.equal(
    (await call('POST', '/api/v1/namespaces/nope/configmaps', configMap('a'))).body['message'],
    'namespaces "nope" not found',
  );
  await call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'going' },
  });
  assert.equal(
    valueAt((await call('DELETE', '/api/v1/namespaces/going')).body, 'status.phase'),
    'Terminating',
  );
  const refused = await call('POST', '/api/v1/namespaces/going/configmaps', configMap('a'));
  assert.equal(refused.code, 403);
  assert.equal(
    refused.body['message'],
    'configmaps "a" is forbidden: unable to create new content in namespace going because it is being terminated',
  );
});

void test('a watch whose client does not read is cut off, and others go on', async (t) => {
  const test = await startTestServer(t);
  await test.call('POST', CONFIG_MAPS, configMap('big'));
  const slow = await test.watch(`${CONFIG_MAPS}?watch=1`);
  const quick = await test.watch(`${CONFIG_MAPS}?watch=1`, {
    Accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  });
  await slow.next();
  await quick.next();
  slow.pause();
  const writes = 48;
  for (let i = 0; i < writes; i++) {
    await test.server.loopback.patch('configmaps', 'default', 'big', {
      data: { x: String(i).padStart(900_000, 'x') },
    });
    assert.equal((await quick.next())['type'], 'MODIFIED');
  }
  let seen = 0;
  await assert.rejects(async () => {
    for (;;) {
      await slow.next();
      seen++;
    }
  });
  assert.ok(seen < writes, `${seen} of ${writes} events were kept for a client that did not read`);
  quick.close();
});
