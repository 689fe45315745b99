import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { Nowhere } from '../testing/nowhere.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Attempt } from '../upstream/attempt.ts';
import { WaitingRoom } from './waiting-room.ts';

/** A room whose time the test moves, by 10 ms a tick. */
function makeRoom() {
  let now = 0;
  const timers = new TimerWheel(() => now, 10);
  const lengths: number[] = [];
  let givenUp = 0;
  const room = new WaitingRoom({
    timers,
    onLength: (length) => lengths.push(length),
    onGivenUp: () => givenUp++,
  });
  const owner = new Nowhere(timers);
  return {
    room,
    lengths,
    attempt: () => new Attempt(new Exchange(NOBODY), owner),
    givenUp: () => givenUp,
    pass: (ms: number) => {
      now += ms;
      timers.tick();
    },
  };
}

test('the fail-fast time counts from the first who waits, and is over once for all', () => {
  const { room, attempt, pass, givenUp, lengths } = makeRoom();
  const [first, second] = [attempt(), attempt()];
  room.enter(first, 1_000);
  pass(900);
  room.enter(second, 1_000);
  assert.deepEqual([room.failing, givenUp()], [false, 0]);
  pass(200);
  assert.deepEqual([room.failing, givenUp()], [true, 1]);
  assert.deepEqual(room.empty(), [first, second]);
  pass(2_000);
  assert.equal(givenUp(), 1);
  assert.deepEqual(lengths, [1, 2, 0]);
});

test('who has left waits no more, nor is counted twice', () => {
  const { room, attempt, lengths } = makeRoom();
  const [gone, here] = [attempt(), attempt()];
  room.enter(gone, 1_000);
  room.enter(here, 1_000);
  room.leave(gone);
  room.leave(gone);
  assert.deepEqual([...room], [here]);
  assert.deepEqual(lengths, [1, 2, 1]);
});

test('an endpoint that comes ends the time, and a room that is failing', () => {
  const { room, attempt, pass, givenUp } = makeRoom();
  room.enter(attempt(), 1_000);
  room.open();
  pass(2_000);
  assert.deepEqual([room.failing, givenUp()], [false, 0]);
  room.enter(attempt(), 1_000);
  pass(2_000);
  assert.equal(room.failing, true);
  room.open();
  assert.equal(room.failing, false);
});

test('where nobody asks any more, who comes next may wait again', () => {
  const { room, attempt, pass, givenUp } = makeRoom();
  room.enter(attempt(), 1_000);
  pass(2_000);
  room.empty();
  room.rest();
  assert.equal(room.failing, false);
  room.enter(attempt(), 1_000);
  pass(2_000);
  assert.equal(givenUp(), 2);
});
