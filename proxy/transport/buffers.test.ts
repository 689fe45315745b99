import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recycle, takeBuffer, trimBuffers } from './buffers.ts';

const SIZE = 64 * 1024;

test('a buffer that was given back serves again', () => {
  const buffer = takeBuffer(SIZE);
  recycle(buffer);
  assert.equal(takeBuffer(SIZE - 1), buffer);
});

test('buffers that nobody needs any more are forgotten, those that a moment needed are not', () => {
  trimBuffers();
  trimBuffers();
  const all = Array.from({ length: 64 }, () => takeBuffer(SIZE));
  for (const buffer of all) recycle(buffer);
  // Needed since the last time: all are kept.
  trimBuffers();
  const again = Array.from({ length: 64 }, () => takeBuffer(SIZE));
  assert.deepEqual(new Set(again), new Set(all));
  for (const buffer of again) recycle(buffer);
  trimBuffers();
  trimBuffers();
  const later = Array.from({ length: 64 }, () => takeBuffer(SIZE));
  const kept = later.filter((buffer) => all.includes(buffer)).length;
  assert.ok(kept > 0 && kept <= 16, `${kept} of them are kept`);
});
