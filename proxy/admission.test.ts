import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Admission, FREE, type Place } from './admission.ts';
import { Registry } from './telemetry/registry.ts';
import { silentLog } from '../log/index.ts';

const MANY = { maxConnections: 10_000 };

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
  const admission = new Admission({ ...MANY, refused, log, now: () => now, limit: () => 100 });
  const at = (fd: number): [Place | undefined, boolean] => {
    const { socket, closed } = connection(fd);
    return [admission.admit(socket, 1), closed()];
  };
  const count = (reason: string): number => refused.cell({ reason }).value;
  const [taken, last, turnedAway] = [
    [FREE, false],
    [{ kind: 'last', of: 4 }, false],
    [undefined, true],
  ];
  assert.deepEqual([at(10), at(70)], [taken, taken]);
  assert.deepEqual(told, []);
  assert.deepEqual([at(71), at(74)], [last, last]);
  assert.deepEqual(told.splice(0), [{ reason: 'few-places' }]);
  assert.deepEqual([at(75), at(99)], [turnedAway, turnedAway]);
  assert.equal(count('too-few-descriptors'), 2);
  assert.deepEqual(told, [{ reason: 'too-few-descriptors' }]);
  admission.dropped();
  assert.equal(count('too-many-connections'), 1);
  assert.equal(told.length, 2, 'another lack is told at once');
  now += 60_000;
  at(75);
  assert.equal(told.length, 3);
  assert.deepEqual(at(70), taken, 'there is room again');
});

test('the last places of a listener: two in a hundred, and four at least', () => {
  const firstOfLast = (maxConnections: number): [number, number] => {
    const refused = new Registry().counter('refused', 'refused');
    const admission = new Admission({
      maxConnections,
      refused,
      log: silentLog,
      now: () => 0,
      limit: () => Infinity,
    });
    for (let open = 1; ; open++) {
      const place = admission.admit(connection(3).socket, open);
      if (place?.kind === 'last') return [open, place.of];
    }
  };
  const expected = [
    [2, 4],
    [97, 4],
    [981, 20],
  ];
  assert.deepEqual([5, 100, 1_000].map(firstOfLast), expected);
});

test('the limit is asked of the kernel', () => {
  const admission = new Admission({
    ...MANY,
    refused: new Registry().counter('refused', 'refused'),
    log: silentLog,
    now: () => 0,
  });
  assert.equal(admission.admit(connection(3).socket, 1), FREE);
  assert.equal(admission.admit(connection(2 ** 31 - 1).socket, 1), undefined);
});
