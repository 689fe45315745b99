import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ManualClock } from '../../workload-identity/testing/manual-clock.ts';
import { wait } from './wait.ts';

test('a wait ends with its time or with the signal, and leaves no listener with a signal that lives on', async () => {
  const clock = new ManualClock(0);
  const closing = new AbortController();
  for (let i = 0; i < 3; i++) {
    const waited = wait(clock, 1_000, closing.signal);
    clock.advance(1_000);
    await waited;
  }
  assert.equal(getEventListeners(closing.signal, 'abort').length, 0);
  const cut = wait(clock, 1_000, closing.signal);
  closing.abort();
  await cut;
});
