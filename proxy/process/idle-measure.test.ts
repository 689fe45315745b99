import assert from 'node:assert/strict';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { stopIdleMeasure } from './idle-measure.ts';

/** ms that the loop has been idle, as it measures it, while it waited for a timer. */
async function measured(): Promise<number> {
  const before = performance.nodeTiming.idleTime;
  await after(5);
  return performance.nodeTiming.idleTime - before;
}

test('the loop measures how long it is idle until it is told not to, and goes on', async (t) => {
  if (process.platform !== 'linux') return t.skip('not Linux');
  assert.equal(await stopIdleMeasure('1.99.0'), false, 'an unknown runtime is left alone');
  // A loop that has much to do need not wait at all.
  while ((await measured()) === 0);
  assert.equal(await stopIdleMeasure(), true, `libuv ${process.versions.uv} is to be looked up`);
  assert.equal(await measured(), 0);
  assert.equal(await stopIdleMeasure(), false, 'there is nothing left to stop');
  // Input, timers and other threads wake it as before.
  const worker = new Worker('require("node:worker_threads").parentPort.postMessage("here")', { eval: true });
  const [message] = await once(worker, 'message');
  assert.equal(message, 'here');
  await worker.terminate();
});
