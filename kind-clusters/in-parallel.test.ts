import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clustersAtOnce, inParallel } from './in-parallel.ts';

const GIB = 1024 ** 3;

test('no more run at once than the limit, and all run', async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await inParallel(2, [1, 2, 3, 4, 5], async (item) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    done.push(item);
  });
  assert.deepEqual(new Set(done), new Set([1, 2, 3, 4, 5]));
  assert.equal(most, 2);
});

test('after a failure nothing begins, and what had begun is waited for', async () => {
  const ended: number[] = [];
  const work = inParallel(2, [1, 2, 3, 4], async (item) => {
    if (item === 1) throw new Error('one');
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
    ended.push(item);
  });
  await assert.rejects(work, /one/);
  assert.deepEqual(ended, [2]);
});

test('clusters start side by side as memory and cores allow, and always one', () => {
  assert.equal(clustersAtOnce(20 * GIB, 2), 1);
  assert.equal(clustersAtOnce(20 * GIB, 8), 4);
  assert.equal(clustersAtOnce(2.5 * GIB, 8), 2);
  assert.equal(clustersAtOnce(0.1 * GIB, 1), 1);
});
