import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../kubernetes/testing/fake-clock.ts';
import { silentLog } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { type DesiredStatus, StatusWriter } from './status-writer.ts';

function fixture() {
  const clock = new FakeClock();
  const written: unknown[] = [];
  const client = {
    mergePatch: (_resource: unknown, _namespace: string, _name: string, patch: unknown) => {
      written.push(patch);
      return Promise.resolve({});
    },
  } as unknown as KubernetesClient;
  let desired: DesiredStatus = {
    conditions: [],
    gateway: undefined,
    mirrorServices: [],
    latencyMs: undefined,
    lastSyncTime: undefined,
  };
  const writer = new StatusWriter({
    client,
    namespace: 'isthmus',
    name: 'west',
    present: { conditions: [], gateway: { addresses: [] }, mirrorServices: [] },
    desired: () => desired,
    clock,
    logger: silentLog,
  });
  return {
    clock,
    written,
    writer,
    addresses: (...addresses: string[]) => (desired = { ...desired, gateway: { addresses, port: 4143 } }),
  };
}

test('a touch that changes nothing does not stop the writes after it', async () => {
  const { clock, written, writer, addresses } = fixture();
  writer.touch();
  await clock.advance(5000);
  assert.equal(written.length, 0);
  addresses('127.64.0.2');
  writer.touch();
  await clock.advance(5000);
  assert.equal(written.length, 1);
});

test('changes that come together are one write, and the next waits', async () => {
  const { clock, written, writer, addresses } = fixture();
  for (const address of ['127.64.0.2', '127.64.0.3']) {
    addresses(address);
    writer.touch();
  }
  await clock.advance(200);
  addresses('127.64.0.4');
  writer.touch();
  await clock.advance(200);
  assert.equal(written.length, 1);
  await clock.advance(1000);
  assert.equal(written.length, 2);
});
