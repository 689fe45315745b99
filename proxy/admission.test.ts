import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Admission } from './admission.ts';
import { Registry } from './telemetry/registry.ts';
import { silentLog } from '../log/index.ts';

/** A connection that holds a descriptor of this number. */
function connection(fd: number): { socket: Socket; closed: () => boolean } {
  let closed = false;
  const destroy = (): void => {
    closed = true;
  };
  return { socket: { _handle: { fd }, destroy } as unknown as Socket, closed: () => closed };
}

test('what a process has descriptors for is taken; what is beyond is closed and counted, and a line a minute tells', () => {
  const registry = new Registry();
  const refused = registry.counter('refused', 'refused');
  const told: unknown[] = [];
  let now = 1_000;
  const log = { ...silentLog, warn: (fields: unknown) => told.push(fields) };
  const admission = new Admission({ refused, log, now: () => now, limit: () => 100 });
  const at = (fd: number): [boolean, boolean] => {
    const { socket, closed } = connection(fd);
    return [admission.admits(socket), closed()];
  };
  const count = (reason: string): number => refused.cell({ reason }).value;
  const [taken, turnedAway] = [
    [true, false],
    [false, true],
  ];
  assert.deepEqual([at(10), at(74)], [taken, taken]);
  assert.deepEqual([at(75), at(99)], [turnedAway, turnedAway]);
  assert.equal(count('too-few-descriptors'), 2);
  assert.deepEqual(told, [{ reason: 'too-few-descriptors' }]);
  admission.dropped();
  assert.equal(count('too-many-connections'), 1);
  assert.equal(told.length, 2, 'another lack is told at once');
  now += 60_000;
  at(75);
  assert.equal(told.length, 3);
  assert.deepEqual(at(74), taken, 'there is room again');
});

test('the limit is asked of the kernel', () => {
  const admission = new Admission({
    refused: new Registry().counter('refused', 'refused'),
    log: silentLog,
    now: () => 0,
  });
  assert.equal(admission.admits(connection(3).socket), true);
  assert.equal(admission.admits(connection(2 ** 31 - 1).socket), false);
});
