import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../kubernetes/log.ts';
import { FakeClock } from '../kubernetes/testing/fake-clock.ts';
import type { LinkWorkerData } from './messages.ts';
import { WorkerHost } from './worker-host.ts';

test('a thread that cannot be begun is a crash: told, and tried again ever later', async (t) => {
  const clock = new FakeClock();
  const crashes: string[] = [];
  const told: object[] = [];
  const host = new WorkerHost({
    data: () => ({}) as LinkWorkerData,
    heapMiB: 16,
    // Refused within the call, as is a thread that the system does not give.
    entry: new URL('https://127.0.0.1/'),
    onReport: () => assert.fail('no thread runs'),
    onCrash: (why) => void crashes.push(why),
    clock,
    random: () => 1,
    logger: { ...silentLog, error: (fields) => void told.push(fields) },
  });
  t.after(() => host.stop());
  host.start();
  assert.equal(crashes.length, 1);
  assert.match(crashes[0] ?? '', /URL/);
  assert.match(JSON.stringify(told), /worker-host\.ts:/, 'where it was thrown');
  await clock.advance(1_000);
  assert.equal(crashes.length, 2);
  await clock.advance(1_000);
  assert.equal(crashes.length, 2);
  await clock.advance(1_000);
  assert.equal(crashes.length, 3);
  await host.stop();
  await clock.advance(60_000);
  assert.equal(crashes.length, 3);
});

test('a fault in what a thread is given is no crash of a thread', () => {
  const fault = new Error('a fault of ours');
  const host = new WorkerHost({
    data: () => {
      throw fault;
    },
    heapMiB: 16,
    onReport: () => assert.fail('no thread runs'),
    onCrash: () => assert.fail('no thread died'),
    clock: new FakeClock(),
    random: () => 1,
    logger: silentLog,
  });
  assert.throws(() => host.start(), fault);
});
