import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BACKOFF_RESET_MS, LONGEST_BACKOFF_MS, RestartBackoff } from './backoff.ts';

await it('restarts at once, then after 10 s doubling to 5 minutes', () => {
  const backoff = new RestartBackoff();
  const waits: number[] = [];
  let now = 1_000_000;
  for (let crash = 0; crash < 8; crash += 1) {
    const finished = now;
    const wait = backoff.remaining(finished, now);
    waits.push(wait / 1000);
    now += wait;
    assert.equal(backoff.remaining(finished, now), 0);
    backoff.restarted(finished, now);
  }
  assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
});

await it('begins anew after a run of more than ten minutes', () => {
  const backoff = new RestartBackoff();
  for (let i = 0; i < 9; i += 1) backoff.restarted(1000, 1000);
  assert.equal(backoff.waitMs, LONGEST_BACKOFF_MS);
  const finished = 1000 + BACKOFF_RESET_MS + 1;
  assert.equal(backoff.remaining(finished, finished), 0);
  backoff.restarted(finished, finished);
  assert.equal(backoff.waitMs, 10_000);
});
