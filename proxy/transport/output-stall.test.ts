import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeTransport } from '../testing/fake-transport.ts';
import { OutputStall } from './output-stall.ts';
import { TimerWheel } from './timers.ts';

const TICK_MS = 100;
/** A quarter of the time, and the tick that a timer may be late. */
const LOOK_MS = 7_500 + TICK_MS;

function makeStall() {
  let now = 0;
  let stalled = 0;
  const timers = new TimerWheel(() => now, TICK_MS);
  const transport = new FakeTransport();
  const stall = new OutputStall(transport, timers, () => stalled++);
  const pass = (ms: number): number => {
    for (const until = now + ms; now < until;) {
      now += TICK_MS;
      timers.tick();
    }
    return stalled;
  };
  return { transport, stall, pass };
}

test('a peer that takes nothing for 30 s is stalled, once, and not before', () => {
  const { transport, stall, pass } = makeStall();
  transport.pendingBytes = 1;
  stall.watch();
  assert.equal(pass(30_000 - TICK_MS), 0);
  assert.equal(pass(4 * LOOK_MS - 30_000 + TICK_MS), 1);
  assert.equal(pass(60_000), 1);
});

test('each byte that is taken begins the time anew, and who has taken all is watched no more', () => {
  const { transport, stall, pass } = makeStall();
  transport.pendingBytes = 10;
  stall.watch();
  for (; transport.pendingBytes > 0; transport.pendingBytes--) {
    assert.equal(pass(3 * LOOK_MS), 0);
    transport.takenBytes++;
  }
  assert.equal(pass(60_000), 0);
  transport.pendingBytes = 1;
  assert.equal(pass(60_000), 0, 'nobody has said that there are bytes again');
  stall.watch();
  assert.equal(pass(4 * LOOK_MS), 1);
});

test('who stops hears nothing', () => {
  const { transport, stall, pass } = makeStall();
  transport.pendingBytes = 1;
  stall.watch();
  stall.stop();
  assert.equal(pass(60_000), 0);
});
