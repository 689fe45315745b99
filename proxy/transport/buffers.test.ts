import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forgetBuffers, onForgottenBuffer, recycle, takeBuffer, trimBuffers } from './buffers.ts';

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
  const forgotten = new Set<Buffer>();
  onForgottenBuffer((buffer) => forgotten.add(buffer));
  trimBuffers();
  trimBuffers();
  const later = Array.from({ length: 64 }, () => takeBuffer(SIZE));
  const kept = later.filter((buffer) => all.includes(buffer)).length;
  assert.ok(kept > 0 && kept <= 16, `${kept} of them are kept`);
  assert.deepEqual(new Set(all.filter((buffer) => !later.includes(buffer))), forgotten);
});

test('before a collection in a quiet moment all idle buffers are forgotten, and none that is in use', () => {
  const sizes = Array.from({ length: 10 }, (_, i) => 1024 << i);
  const [used, ...idle] = [SIZE, ...sizes].map(takeBuffer);
  for (const buffer of idle) recycle(buffer);
  forgetBuffers();
  const later = sizes.map(takeBuffer);
  assert.deepEqual(
    later.filter((buffer) => idle.includes(buffer) || buffer === used),
    [],
  );
  if (used !== undefined) recycle(used);
  assert.equal(takeBuffer(SIZE), used);
});

test('what is more than a busy moment may keep is forgotten at once, and so is what has no size of the pool', () => {
  const told: Buffer[] = [];
  onForgottenBuffer((buffer) => told.push(buffer));
  const large = takeBuffer(1024 * 1024);
  recycle(large);
  assert.deepEqual(told, [large]);
  const many = Array.from({ length: 64 }, () => takeBuffer(512 * 1024));
  for (const buffer of many) recycle(buffer);
  assert.ok(told.length > 32 && told.length < many.length);
  assert.equal(new Set(told).size, told.length);
});
