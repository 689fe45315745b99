import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createClient } from './client.ts';
import { createEventRecorder } from './events.ts';
import type { EventRecorder } from './events.ts';
import { resources } from './resources.ts';
import { startFakeApiServer } from './testing/fake-api-server.ts';
import type { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import type { KubernetesClient } from './types.ts';

const about = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'n', uid: 'u1' } };

let server: FakeApiServer;
let client: KubernetesClient;
let clock: FakeClock;
let recorder: EventRecorder;

beforeEach(async () => {
  server = await startFakeApiServer({ checkNamespaces: false });
  client = createClient(server.config());
  clock = new FakeClock();
  recorder = createEventRecorder(client, { component: 'tester', instance: 'tester-1', clock });
});
afterEach(async () => {
  await recorder.stop();
  await client.close();
  await server.stop();
});

const written = () => server.list(resources.events);

test('an event says what, about whom, from whom and when', async () => {
  recorder.record(about, 'Warning', 'Broken', 'it broke');
  await recorder.idle();
  const [event] = written();
  assert.deepEqual(event?.involvedObject, {
    apiVersion: 'v1',
    kind: 'Pod',
    name: 'web',
    namespace: 'n',
    uid: 'u1',
  });
  assert.equal(event.metadata?.namespace, 'n');
  assert.deepEqual(
    [
      event.type,
      event.reason,
      event.message,
      event.count,
      event.firstTimestamp,
      event.source,
      event.reportingInstance,
    ],
    ['Warning', 'Broken', 'it broke', 1, '2026-01-01T00:00:00.000Z', { component: 'tester' }, 'tester-1'],
  );
});

test('equal events are one with a count; others are not', async () => {
  recorder.record(about, 'Normal', 'A', 'x');
  await recorder.idle();
  await clock.advance(1000);
  recorder.record(about, 'Normal', 'A', 'x');
  recorder.record(about, 'Normal', 'A', 'x');
  recorder.record(about, 'Normal', 'A', 'y');
  await recorder.idle();
  const counts = new Map(written().map((e) => [e.message, e.count]));
  assert.deepEqual([counts.get('x'), counts.get('y'), counts.size], [3, 1, 2]);
  assert.equal(written().find((e) => e.message === 'x')?.lastTimestamp, '2026-01-01T00:00:01.000Z');
});

test('one object can not flood: a burst of 25, then one in five minutes', async () => {
  for (let i = 0; i < 100; i += 1) recorder.record(about, 'Normal', 'A', `message ${i}`);
  recorder.record({ ...about, metadata: { ...about.metadata, name: 'other' } }, 'Normal', 'A', 'fine');
  await recorder.idle();
  assert.equal(written().length, 26);
  await clock.advance(300_000);
  recorder.record(about, 'Normal', 'A', 'later');
  recorder.record(about, 'Normal', 'A', 'too many');
  await recorder.idle();
  assert.equal(written().length, 27);
});

test('events of a time without the API arrive afterwards, with their count', async () => {
  server.fault = () => ({ kind: 'status', code: 503, reason: 'ServiceUnavailable' });
  recorder.record(about, 'Normal', 'A', 'x');
  await server.until(() => server.requests.length === 1);
  recorder.record(about, 'Normal', 'A', 'x');
  server.fault = undefined;
  while (written().length === 0) await clock.advance(1000);
  await recorder.idle();
  assert.deepEqual(
    written().map((e) => e.count),
    [2],
  );
});

test('an event whose first answer was lost counts on', async () => {
  server.fault = () => ({ kind: 'lost' });
  recorder.record(about, 'Normal', 'A', 'x');
  await server.until(() => written().length === 1);
  server.fault = undefined;
  recorder.record(about, 'Normal', 'A', 'x');
  while (written()[0]?.count !== 2) await clock.advance(1000);
  recorder.record(about, 'Normal', 'A', 'x');
  await recorder.idle();
  assert.deepEqual(
    written().map((e) => e.count),
    [3],
  );
});

test('an event that the server has dropped since is made anew', async () => {
  recorder.record(about, 'Normal', 'A', 'x');
  await recorder.idle();
  server.remove(resources.events, 'n', written()[0]?.metadata?.name ?? '');
  recorder.record(about, 'Normal', 'A', 'x');
  await recorder.idle();
  assert.deepEqual(
    written().map((e) => e.count),
    [2],
  );
});
