import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../errors.ts';
import { Exchange, type RequestSink } from '../message/message.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { type Timer, TimerWheel } from '../transport/timers.ts';
import type { Connected } from './connect.ts';
import { Http1Pool, IDLE_MS, MAX_CONNECTIONS, MAX_WAITING, STARVED_MS } from './http1-pool.ts';
import type { Waiter } from './upstream.ts';

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');

class CountingWheel extends TimerWheel {
  armed = 0;

  override arm(timer: Timer, ms: number): void {
    this.armed++;
    super.arm(timer, ms);
  }
}

/** A pool whose dials end when the test says so, in the order in which they were begun; `free` descriptors are left. */
function harness() {
  let now = 0;
  const left = { free: 2 };
  /** Dials that have begun do not end while it is true. */
  const dials = { hang: false };
  const timers = new CountingWheel(() => now);
  const told: string[] = [];
  const transports: FakeTransport[] = [];
  const pool = new Http1Pool({
    timers,
    responses: NOBODY,
    connect: (_carries, callback) => {
      if (!dials.hang) queueMicrotask(() => callback(dialled()));
      return () => {};
    },
  });
  const dialled = (): Connected => {
    if (left.free === 0) return { kind: 'failed', cause: causes.overloaded };
    left.free--;
    const transport = new FakeTransport();
    transports.push(transport);
    return { kind: 'connected', transport };
  };
  const wait = (name: string): Waiter => {
    const x = new Exchange(NOBODY);
    const waiter: Waiter = {
      x,
      connected: (sink) => {
        told.push(`${name} goes`);
        ask(x, sink);
      },
      failed: (cause) => told.push(`${name} ${cause.code}`),
      again: () => told.push(`${name} again`),
    };
    pool.wait(waiter);
    return waiter;
  };
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 50) {
      now += 50;
      timers.tick();
      await Promise.resolve();
    }
  };
  return { left, dials, timers, pool, told, transports, wait, pass };
}

function ask(x: Exchange, sink: RequestSink): void {
  sink.requestHead(x, requestHead(), true);
}

/** The first connection's server answers. */
function answer(transports: readonly FakeTransport[], at: number): void {
  transports[at]?.handler.onData(ANSWER, 0, ANSWER.length);
}

test('without a descriptor left, requests wait for a connection that comes free, in their order', async () => {
  const { told, transports, wait, pass } = harness();
  for (const name of ['a', 'b', 'c', 'd']) wait(name);
  await pass(50);
  assert.deepEqual(told.splice(0), ['a goes', 'b goes']);
  answer(transports, 0);
  answer(transports, 0);
  assert.deepEqual(told, ['c goes', 'd goes']);
});

test('or for a descriptor that anybody gives back', async () => {
  const { left, told, wait, pass } = harness();
  left.free = 0;
  for (const name of ['a', 'b', 'c']) wait(name);
  await pass(300);
  assert.deepEqual(told, []);
  left.free = 2;
  await pass(200);
  assert.equal(told.length, 2);
});

test('for a while: then they are told that it is this proxy, not the server; one that leaves is told nothing', async () => {
  const { left, pool, told, wait, pass } = harness();
  left.free = 0;
  wait('a');
  const gone = wait('b');
  await pass(STARVED_MS - 100);
  pool.cancel(gone);
  assert.deepEqual(told, []);
  await pass(300);
  assert.deepEqual(told, ['a overloaded']);
  assert.ok(pool.unused);
});

test('a pool that is closed while one that waits is tried once more looks no more', async () => {
  const { left, dials, timers, pool, wait, pass } = harness();
  left.free = 0;
  wait('a');
  await pass(50);
  dials.hang = true;
  await pass(200);
  pool.destroy();
  await pass(200);
  const { armed } = timers;
  await pass(2 * STARVED_MS);
  assert.equal(timers.armed, armed);
});

test('a connection that nobody uses is closed on time, however often others are used', async () => {
  const { transports, wait, pass, pool } = harness();
  wait('a');
  wait('b');
  await pass(50);
  answer(transports, 0);
  await pass(IDLE_MS / 2);
  answer(transports, 1);
  await pass(IDLE_MS / 2 + 100);
  assert.deepEqual(
    transports.map(({ destroyed }) => destroyed),
    [true, false],
  );
  await pass(IDLE_MS / 2);
  assert.equal(transports[1]?.destroyed, true);
  pool.destroy();
});

test('so many connections are made to a server; beyond, requests wait for one, and so many', async () => {
  const { left, pool, told, transports, wait, pass } = harness();
  left.free = Infinity;
  for (let i = 0; i < MAX_CONNECTIONS + MAX_WAITING; i++) wait('one');
  await pass(50);
  assert.deepEqual([transports.length, told.length], [MAX_CONNECTIONS, MAX_CONNECTIONS]);
  const late = wait('late');
  await pass(50);
  assert.deepEqual(told.slice(MAX_CONNECTIONS), ['late overloaded']);
  pool.cancel(late);
  // One that comes free is taken by who waits; one that breaks makes room for another.
  answer(transports, 0);
  assert.equal(told.at(-1), 'one goes');
  transports[1]?.handler.onClose();
  await pass(50);
  assert.equal(transports.length, MAX_CONNECTIONS + 1);
  assert.equal(told.filter((one) => one === 'one goes').length, MAX_CONNECTIONS + 2);
});
