import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ConfigMap } from '../api/kubernetes-types.ts';
import { createClient } from './client.ts';
import { resources } from './resources.ts';
import { startFakeApiServer } from './testing/fake-api-server.ts';
import type { FakeApiServer } from './testing/fake-api-server.ts';
import { KubernetesError } from './types.ts';
import type { KubernetesClient, WatchEvent } from './types.ts';

let server: FakeApiServer;
let client: KubernetesClient;
const { configMaps, namespaces } = resources;

before(async () => {
  server = await startFakeApiServer();
  client = createClient(server.config('secret-token'), { maxResponseBytes: 20_000, userAgent: 'test/1' });
});
after(async () => {
  await client.close();
  await server.stop();
});
beforeEach(() => {
  server.fault = undefined;
  for (const map of server.list(configMaps)) server.remove(configMaps, 'ns1', map.metadata?.name ?? '');
  server.put(namespaces, { metadata: { name: 'ns1' } });
});

const map = (name: string, value = 'v'): ConfigMap => ({
  metadata: { name, namespace: 'ns1' },
  data: { value },
});

function failure(code: number, reason: string, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof KubernetesError);
    assert.equal(error.code, code);
    assert.equal(error.reason, reason);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /secret-token/);
    return true;
  };
}

test('an object is created, read, replaced, patched and deleted', async () => {
  const created = await client.create(configMaps, map('a'), { fieldManager: 'tester' });
  assert.equal(created.kind, 'ConfigMap');
  assert.equal(server.requests.at(-1)?.query.get('fieldManager'), 'tester');
  assert.equal(server.requests.at(-1)?.authorization, 'Bearer secret-token');
  assert.equal(server.requests.at(-1)?.userAgent, 'test/1');
  await client.replace(configMaps, { ...created, data: { value: 'w' } });
  await client.mergePatch(configMaps, 'ns1', 'a', { data: { other: 'x' } });
  assert.deepEqual((await client.get(configMaps, 'ns1', 'a')).data, { value: 'w', other: 'x' });
  await client.delete(configMaps, 'ns1', 'a');
  await assert.rejects(client.get(configMaps, 'ns1', 'a'), failure(404, 'NotFound', /ns1\/a" not found/));
});

test('a stale resourceVersion, a second creation and a failed precondition are conflicts', async () => {
  const first = await client.create(configMaps, map('a'));
  await client.replace(configMaps, { ...first, data: { value: 'w' } });
  await assert.rejects(client.replace(configMaps, first), failure(409, 'Conflict', /modified/));
  await assert.rejects(client.create(configMaps, map('a')), failure(409, 'AlreadyExists', /already exists/));
  const wrong = { preconditions: { uid: 'another' } };
  await assert.rejects(
    client.delete(configMaps, 'ns1', 'a', wrong),
    failure(409, 'Conflict', /precondition/),
  );
});

test('apply merges, drops what is no longer applied, and meets conflicts unless forced', async () => {
  const one = { fieldManager: 'one' };
  await client.apply(configMaps, { ...map('a'), data: { mine: '1', gone: '2' } }, one);
  await client.apply(configMaps, { ...map('a'), data: { mine: '1' } }, one);
  await client.apply(configMaps, { ...map('a'), data: { theirs: '3' } }, { fieldManager: 'two' });
  assert.deepEqual((await client.get(configMaps, 'ns1', 'a')).data, { mine: '1', theirs: '3' });
  const clash = { ...map('a'), data: { mine: 'x' } };
  await assert.rejects(
    client.apply(configMaps, clash, { fieldManager: 'two' }),
    failure(409, 'Conflict', /\.data\.mine/),
  );
  const forced = await client.apply(configMaps, clash, { fieldManager: 'two', force: true });
  assert.equal(forced.data?.['mine'], 'x');
});

test('lists come in pages and items carry their kind', async () => {
  for (const name of ['a', 'b', 'c']) server.put(configMaps, map(name));
  const first = await client.list(configMaps, { namespace: 'ns1', limit: 2 });
  assert.deepEqual(
    first.items.map((i) => i.metadata?.name),
    ['a', 'b'],
  );
  const token = first.metadata?.continue ?? '';
  const second = await client.list(configMaps, { namespace: 'ns1', limit: 2, continue: token });
  assert.deepEqual(
    second.items.map((i) => [i.kind, i.metadata?.name]),
    [['ConfigMap', 'c']],
  );
});

test('a watch yields events as they happen and ends when the server ends it', async () => {
  const from = (await client.list(configMaps)).metadata?.resourceVersion ?? '';
  const events: WatchEvent<ConfigMap>[] = [];
  const onOpen = (): void => {
    server.put(configMaps, map('a', 'é'.repeat(3000)));
    server.remove(configMaps, 'ns1', 'a');
    server.bookmark();
    server.endWatches('clean');
  };
  await server.until(() => true);
  const watching = (async () => {
    const signal = new AbortController().signal;
    for await (const e of client.watch(configMaps, { resourceVersion: from }, signal)) events.push(e);
  })();
  await server.until(() => server.watchCount === 1);
  onOpen();
  await watching;
  assert.deepEqual(
    events.map((e) => e.type),
    ['ADDED', 'DELETED', 'BOOKMARK'],
  );
});

test('an answer over the cap is refused before it is parsed', async () => {
  server.put(configMaps, map('big', 'x'.repeat(30_000)));
  await assert.rejects(
    client.get(configMaps, 'ns1', 'big'),
    failure(0, 'ResponseTooLarge', /more than 20000 bytes/),
  );
});

test('a watch line over the cap breaks the watch', async () => {
  const from = String(server.storage.version);
  const watching = (async () => {
    const signal = new AbortController().signal;
    for await (const _ of client.watch(configMaps, { resourceVersion: from }, signal))
      assert.fail('no event');
  })();
  await server.until(() => server.watchCount === 1);
  server.writeOnWatches('x'.repeat(30_000));
  await assert.rejects(watching, failure(0, 'ResponseTooLarge', /longer than 20000 bytes/));
});

test('garbage, resets and bare error codes are told apart', async () => {
  server.fault = () => ({ kind: 'body', body: '<html>' });
  await assert.rejects(client.list(configMaps), failure(0, 'InvalidResponse', /not JSON/));
  server.fault = () => ({ kind: 'body', body: '{"items":[null]}' });
  await assert.rejects(client.list(configMaps), failure(0, 'InvalidResponse', /no object/));
  server.fault = () => ({ kind: 'body', body: 'null' });
  await assert.rejects(client.list(configMaps), failure(0, 'InvalidResponse', /no items/));
  server.fault = () => ({ kind: 'body', body: '{"type":"ADDED","object":null}\n' });
  const events = client.watch(configMaps, { resourceVersion: '1' }, new AbortController().signal);
  await assert.rejects(Array.fromAsync(events), failure(0, 'InvalidResponse', /no known type/));
  server.fault = () => ({ kind: 'reset' });
  await assert.rejects(client.list(configMaps), failure(0, 'ConnectionFailed', /configmaps/));
  server.fault = () => ({ kind: 'status', code: 503, reason: 'ServiceUnavailable', message: 'starting' });
  await assert.rejects(client.list(configMaps), failure(503, 'ServiceUnavailable', /starting/));
});

test('a call that was turned away unread is sent again when the server says, as often as was asked for', async (t) => {
  const patient = createClient(server.config('secret-token'), { throttledRetries: 2 });
  t.after(() => patient.close());
  let left = 2;
  const turnAway = (retryAfterSeconds?: number) => {
    server.fault = () => {
      left -= 1;
      if (left < 0) return undefined;
      return {
        kind: 'status',
        code: 429,
        reason: 'TooManyRequests',
        message: 'storage is (re)initializing',
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      };
    };
  };
  turnAway(0);
  assert.equal((await patient.create(configMaps, map('late'))).metadata?.name, 'late');
  left = 3;
  await assert.rejects(patient.list(configMaps), failure(429, 'TooManyRequests', /initializing/));
  left = 1;
  await assert.rejects(client.list(configMaps), failure(429, 'TooManyRequests', /initializing/));
  left = 1;
  turnAway();
  await assert.rejects(patient.list(configMaps), failure(429, 'TooManyRequests', /initializing/));
});

test('a call that is given up while it waits to be sent again was given up', async (t) => {
  const patient = createClient(server.config('secret-token'), { throttledRetries: 1 });
  t.after(() => patient.close());
  const seen = server.requests.length;
  server.fault = () => ({ kind: 'status', code: 429, retryAfterSeconds: 600 });
  const giveUp = new AbortController();
  const listing = assert.rejects(
    patient.list(configMaps, {}, giveUp.signal),
    failure(0, 'Aborted', /configmaps/),
  );
  await server.until(() => server.requests.length > seen);
  // By now the answer is there, most likely; while it is under way the end is the same.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  giveUp.abort();
  await listing;
});

test('an answer that is no JSON is read as text within the same cap, and its failures are the same', async () => {
  server.fault = () => ({ kind: 'body', body: 'up 1\n' });
  assert.equal(await client.text('/metrics'), 'up 1\n');
  server.fault = () => ({ kind: 'body', body: 'x'.repeat(30_000) });
  await assert.rejects(client.text('/metrics'), failure(0, 'ResponseTooLarge', /more than 20000 bytes/));
  server.fault = () => ({ kind: 'status', code: 503, reason: 'ServiceUnavailable', message: 'no route' });
  await assert.rejects(client.text('/metrics'), failure(503, 'ServiceUnavailable', /no route/));
});

test('an aborted call says so, and a server that stalls runs into the deadline', async () => {
  server.fault = () => ({ kind: 'stall' });
  const controller = new AbortController();
  const call = client.list(configMaps, {}, controller.signal);
  controller.abort();
  await assert.rejects(call, failure(0, 'Aborted', /configmaps/));
  const hasty = createClient(server.config(), { requestTimeoutMs: 20 });
  await assert.rejects(hasty.get(configMaps, 'ns1', 'a'), failure(0, 'Timeout', /configmaps/));
  await hasty.close();
});

test('credentials that can not be read are an error of their own', async () => {
  const token = (): never => {
    throw new Error('no such file');
  };
  const broken = createClient({ server: server.url, auth: { kind: 'token', token } });
  await assert.rejects(broken.list(configMaps), failure(0, 'CredentialsUnreadable', /no such file/));
  await broken.close();
});

test('a server that is no https URL is refused by name', () => {
  assert.throws(
    () => createClient({ server: 'http://10.0.0.1' }),
    /"http:\/\/10.0.0.1" must be an https URL/,
  );
  assert.throws(() => createClient({ server: 'nonsense' }), /"nonsense" is not a URL/);
});
