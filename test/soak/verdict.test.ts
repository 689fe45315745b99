import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Look } from '../processes/part.ts';
import { leaks, type Sample } from './verdict.ts';

const MIB = 1024 * 1024;
const LOOK: Look = {
  rss: 60 * MIB,
  heap: 8 * MIB,
  external: 0,
  descriptors: 30,
  handles: { TCPSocketWrap: 5 },
  certificates: 1,
};
const during = (heapAt: (i: number) => number): Sample[] =>
  Array.from({ length: 30 }, (_, i) => ({ at: i * 10, look: { ...LOOK, heap: heapAt(i) } }));

test('what breathes is no leak', () => {
  assert.deepEqual(
    leaks(
      LOOK,
      during((i) => (8 + (i % 2)) * MIB),
      LOOK,
    ),
    [],
  );
});

test('a heap that grows all the time, descriptors and sockets that stay, are leaks', () => {
  assert.match(
    leaks(
      LOOK,
      during((i) => (8 + i / 2) * MIB),
      LOOK,
    ).join(),
    /heap and buffers under load: \+5/,
  );
  const after = { ...LOOK, descriptors: 80, handles: { TCPSocketWrap: 55 } };
  assert.deepEqual(
    leaks(
      LOOK,
      during(() => 8 * MIB),
      after,
    ),
    ['descriptors at rest: +50', 'TCPSocketWrap at rest: +50'],
  );
});
