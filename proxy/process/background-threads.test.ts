import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { backgroundThreadsGiveWay } from './background-threads.ts';

test('threads that compile give way to the one that serves', { skip: process.platform !== 'linux' }, () => {
  const before = getPriority();
  const told = backgroundThreadsGiveWay();
  assert.ok(told > 0);
  assert.equal(getPriority(), before);
  const workers = readdirSync('/proc/self/task').filter(
    (task) => readFileSync(`/proc/self/task/${task}/comm`, 'latin1').trim() === 'node-V8Worker',
  );
  assert.equal(workers.length, told);
  for (const task of workers) assert.equal(getPriority(Number(task)), 4);
});
