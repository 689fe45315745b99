import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inbox, TURN_MS } from './grpc-inbox.ts';
import { ManualClock } from './testing/manual-clock.ts';

/** What is taken takes `ms` of the clock each. */
function harness(ms: number) {
  const clock = new ManualClock(0);
  const inbox = new Inbox(clock);
  const taken: number[] = [];
  const put = (n: number): void =>
    inbox.put(() => {
      clock.advance(ms);
      taken.push(n);
    });
  return { inbox, taken, put };
}

test('what takes no time is taken at once, however much it is', () => {
  const { taken, put } = harness(0);
  for (let i = 0; i < 1_000; i++) {
    put(i);
    assert.equal(taken.length, i + 1);
  }
});

test('a turn gives its share, and the rest waits for the next ones in its order', async () => {
  const { taken, put } = harness(TURN_MS / 2);
  for (let i = 0; i < 6; i++) put(i);
  assert.deepEqual(taken, [0, 1]);
  const turns: number[][] = [];
  while (taken.length < 6) {
    await nextTurn();
    turns.push([...taken]);
  }
  assert.deepEqual(turns, [
    [0, 1, 2, 3],
    [0, 1, 2, 3, 4, 5],
  ]);
});

test('each turn gives anew', async () => {
  const { taken, put } = harness(TURN_MS);
  for (let i = 0; i < 3; i++) {
    put(i);
    assert.equal(taken.length, i + 1);
    await nextTurn();
  }
});

test('what comes while something is taken comes behind it', () => {
  const { inbox, taken, put } = harness(0);
  inbox.put(() => {
    put(2);
    taken.push(1);
  });
  assert.deepEqual(taken, [1, 2]);
});
