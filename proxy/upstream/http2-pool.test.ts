import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exchange, type RequestSink } from '../message/message.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { frame, readFrames, SETTINGS } from '../testing/http2-frames.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { FrameType } from '../http2/frames.ts';
import { STREAM_WINDOW } from '../http2/limits.ts';
import { TimerWheel } from '../transport/timers.ts';
import {
  Http2Pool,
  IDLE_MS,
  MAX_AGE_MS,
  MAX_BUFFERED_BYTES,
  MAX_CONNECTIONS,
  MAX_WAITING,
  STREAMS_BEFORE_NEXT,
} from './http2-pool.ts';
import type { Connected } from './connect.ts';
import type { Waiter } from './upstream.ts';

const ANSWERED = Buffer.from('88', 'hex');
const LOOK_MS = 100;

/** A pool whose dials end when the test says so, and whose clock is the test's. */
function harness() {
  let now = 0;
  const timers = new TimerWheel(() => now);
  const dials: ((connected: Connected) => void)[] = [];
  const transports: FakeTransport[] = [];
  const told: string[] = [];
  const pool = new Http2Pool({
    connect: (_carries, callback) => {
      dials.push(callback);
      return () => {};
    },
    isthmus: true,
    keepAlive: false,
    timers,
    responses: NOBODY,
    random: () => 0,
  });
  const feed = (transport: FakeTransport, ...frames: Buffer[]): void => {
    const bytes = Buffer.concat(frames);
    transport.handler.onData(bytes, 0, bytes.length);
  };
  return {
    dials,
    transports,
    told,
    pool,
    feed,
    /** The dial that waits comes to a server. */
    connect: (): FakeTransport => {
      const transport = new FakeTransport();
      transports.push(transport);
      const dial = dials.shift();
      assert.ok(dial !== undefined, 'a connection is being made');
      dial({ kind: 'connected', transport });
      feed(transport, SETTINGS);
      return transport;
    },
    wait: (name: string): Waiter => {
      const waiter: Waiter = {
        x: new Exchange(NOBODY),
        connected: (sink) => {
          told.push(`${name} goes`);
          sink.requestHead(waiter.x, requestHead(), true);
        },
        failed: (cause) => told.push(`${name} ${cause.code}`),
        again: () => told.push(`${name} again`),
      };
      pool.wait(waiter);
      return waiter;
    },
    /** A request by a connection that stands. */
    ask: (): RequestSink => {
      const x = new Exchange(NOBODY);
      const sink = pool.take(x);
      assert.ok(sink !== undefined);
      sink.requestHead(x, requestHead(), true);
      return sink;
    },
    /** Streams that were opened on each connection. */
    streams: (): number[] =>
      transports.map((each) => readFrames(each.bytes().subarray(24)).filter(isHead).length),
    pass: (ms: number): void => {
      for (let passed = 0; passed < ms; passed += LOOK_MS) {
        now += LOOK_MS;
        timers.tick();
      }
    },
  };
}

const isHead = ({ type }: { type: number }): boolean => type === FrameType.headers;

test('another connection is made at so many streams on each, one at a time and up to a number', () => {
  const { dials, pool, wait, connect, ask, streams } = harness();
  wait('a');
  connect();
  for (let connections = 1; connections < MAX_CONNECTIONS; connections++) {
    // The first is a stream, too.
    for (let i = connections === 1 ? 1 : 0; i < STREAMS_BEFORE_NEXT; i++) ask();
    assert.equal(dials.length, 0, `with ${streams().join(' and ')} streams`);
    ask();
    ask();
    assert.equal(dials.length, 1);
    connect();
  }
  for (let i = 0; i < 2 * STREAMS_BEFORE_NEXT; i++) ask();
  assert.deepEqual([pool.connections, dials.length], [MAX_CONNECTIONS, 0]);
});

test('so many requests wait for a connection; one more is told that it is this proxy’s affair', async () => {
  const { pool, told, wait, connect } = harness();
  for (let i = 0; i < MAX_WAITING; i++) wait('early');
  await Promise.resolve();
  assert.deepEqual(told, []);
  wait('late');
  await Promise.resolve();
  assert.deepEqual(told.splice(0), ['late overloaded']);
  const [first] = [wait('never')];
  await Promise.resolve();
  assert.deepEqual(told.splice(0), ['never overloaded']);
  pool.cancel(first);
  connect();
  assert.equal(told[0], 'early goes');
});

test('a connection in which much waits for slow receivers gets no new streams while another can take them', () => {
  const { wait, connect, ask, feed, streams } = harness();
  wait('a');
  const slow = connect();
  const stalled = Math.ceil(MAX_BUFFERED_BYTES / STREAM_WINDOW);
  for (let i = 0; i < stalled; i++) ask();
  const other = connect();
  const before = streams();
  /** The answers of so many streams, of which nobody takes a byte. */
  const answer = (from: number, to: number): void => {
    for (let id = 2 * from + 1; id < 2 * to + 1; id += 2)
      feed(
        slow,
        frame(FrameType.headers, 4, id, ANSWERED),
        frame(FrameType.data, 0, id, Buffer.alloc(STREAM_WINDOW)),
      );
  };
  // To the byte: what is at the bound is not above it. The other connection has more streams by then.
  answer(0, stalled);
  for (let i = 0; i < stalled + 3; i++) ask();
  const [full = 0] = streams();
  assert.ok(full > (before[0] ?? 0), 'at the bound it is taken');
  feed(
    slow,
    frame(FrameType.headers, 4, 2 * stalled + 1, ANSWERED),
    frame(FrameType.data, 0, 2 * stalled + 1, 'x'),
  );
  const [sent = 0] = streams();
  for (let i = 0; i < STREAMS_BEFORE_NEXT; i++) ask();
  assert.equal(streams()[0], sent);
  assert.equal(other.destroyed, false);
});

test('a connection that is used from time to time stays', () => {
  const { pool, wait, connect, ask, feed, pass } = harness();
  wait('a');
  const transport = connect();
  feed(transport, frame(FrameType.headers, 5, 1, ANSWERED));
  for (let id = 3; id < 40; id += 2) {
    pass(IDLE_MS / 3);
    ask();
    feed(transport, frame(FrameType.headers, 5, id, ANSWERED));
  }
  assert.equal(pool.connections, 1);
  pass(IDLE_MS - LOOK_MS);
  assert.equal(pool.connections, 1);
  pass(3 * LOOK_MS);
  assert.equal(pool.connections, 0);
});

test('a pool that is closed has nobody wait', async () => {
  const { pool, wait, told } = harness();
  pool.destroy();
  wait('late');
  await Promise.resolve();
  assert.deepEqual(told, ['late shutting-down']);
});

test('a connection is unused from the end of its last stream on, however long that was under way', () => {
  const { pool, wait, connect, feed, pass } = harness();
  wait('a');
  const transport = connect();
  pass(IDLE_MS / 2);
  feed(transport, frame(FrameType.headers, 5, 1, ANSWERED));
  pass(IDLE_MS - LOOK_MS);
  assert.equal(pool.connections, 1);
  pass(3 * LOOK_MS);
  assert.equal(pool.connections, 0);
});

for (const [what, used, ms] of [
  ['nobody uses', false, IDLE_MS],
  ['is in use', true, MAX_AGE_MS],
] as const) {
  test(`a connection that ${what} is let go when its time is over, and not before`, () => {
    const { pool, wait, connect, feed, pass } = harness();
    wait('a');
    const transport = connect();
    if (!used) feed(transport, frame(FrameType.headers, 5, 1, ANSWERED));
    pass(ms - LOOK_MS);
    assert.equal(pool.connections, 1);
    pass(3 * LOOK_MS);
    assert.equal(pool.connections, 0);
    // What is under way ends on it.
    assert.equal(transport.ended, !used);
  });
}
