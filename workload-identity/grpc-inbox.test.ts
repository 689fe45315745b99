import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inbox, MAX_WAITING_BYTES, TURN_MS } from './grpc-inbox.ts';
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

test('there is room while no more waits than may, however short it is, and again when enough was taken', async () => {
  for (const { bytes, n } of [
    { bytes: MAX_WAITING_BYTES, n: 3 },
    { bytes: 0, n: MAX_WAITING_BYTES / 64 },
  ]) {
    const clock = new ManualClock(0);
    const inbox = new Inbox(clock);
    let taken = 0;
    let takes = TURN_MS;
    for (let i = 0; i < n; i++)
      inbox.put(() => {
        clock.advance(takes);
        taken++;
      }, bytes);
    const told = Promise.withResolvers<number>();
    inbox.whenRoom(() => told.resolve(taken));
    assert.equal(taken, 1, 'the first turn has had its share');
    takes = 0;
    assert.equal(await told.promise, n);
    let at = 0;
    inbox.whenRoom(() => at++);
    assert.equal(at, 1);
  }
});
