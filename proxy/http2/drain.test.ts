import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeTransport } from '../testing/fake-transport.ts';
import { frame, readFrames, requestFrame } from '../testing/http2-frames.ts';
import { fedServer } from '../testing/http2-server.ts';
import { AppSink } from '../testing/app-sink.ts';
import { TimerWheel } from '../transport/timers.ts';
import { ErrorCode, Flag, FrameType, MAX_WINDOW } from './frames.ts';
import { DRAIN_GRACE_MS } from './limits.ts';

const TICK_MS = 100;

/** A server that drains while stream 1 is under way; its clock is the test's. */
function draining() {
  let now = 0;
  const timers = new TimerWheel(() => now);
  const transport = new FakeTransport();
  const app = new AppSink();
  const { connection, feed } = fedServer(app, transport, timers);
  feed(requestFrame(1));
  transport.take();
  connection.drain();
  return {
    transport,
    feed,
    pass: (ms: number): void => {
      for (let passed = 0; passed < ms; passed += TICK_MS) {
        now += TICK_MS;
        timers.tick();
      }
    },
    /** Every request has its answer. */
    answerAll: (): void => {
      for (const x of app.exchanges.splice(0)) app.answer(x, Buffer.alloc(0));
    },
    /** What was said since the last call: GOAWAY with the last stream that is answered, resets with stream and code, streams that are answered. */
    said: (): string[] =>
      readFrames(transport.take()).flatMap(({ type, flags, id, payload }) => {
        if (type === FrameType.goaway) return [`goaway ${payload.readUInt32BE(0)}`];
        if (type === FrameType.reset) return [`reset ${id} ${payload.readUInt32BE(0)}`];
        if (type === FrameType.headers) return [`answer ${id}`];
        return type === FrameType.ping && (flags & Flag.ack) === 0 ? ['ping'] : [];
      }),
    /** Of the PING that the drain has sent. */
    pingOf: (): Buffer => {
      const ping = readFrames(transport.bytes()).find(({ type }) => type === FrameType.ping);
      assert.ok(ping !== undefined);
      return frame(FrameType.ping, Flag.ack, 0, ping.payload);
    },
  };
}

describe('HTTP/2: a server that drains', () => {
  test('answers what the peer has opened until it has heard, which the answer to a PING says', () => {
    const { feed, said, answerAll, pingOf, transport } = draining();
    const heard = pingOf();
    assert.deepEqual(said(), [`goaway ${MAX_WINDOW}`, 'ping']);
    feed(requestFrame(3), heard, requestFrame(5));
    assert.deepEqual(said(), ['goaway 3', `reset 5 ${ErrorCode.refusedStream}`]);
    assert.equal(transport.ended, false);
    answerAll();
    assert.deepEqual(said(), ['answer 1', 'answer 3']);
    assert.equal(transport.ended, true);
  });

  test('waits so long for that answer, and no longer', () => {
    const { feed, pass, said, transport } = draining();
    said();
    pass(DRAIN_GRACE_MS - 2 * TICK_MS);
    feed(requestFrame(3));
    assert.deepEqual(said(), []);
    pass(4 * TICK_MS);
    feed(requestFrame(5));
    assert.deepEqual(said(), ['goaway 3', `reset 5 ${ErrorCode.refusedStream}`]);
    assert.equal(transport.ended, false);
  });

  test('closes a connection whose peer does not, after the same time', () => {
    const { feed, pass, answerAll, pingOf, transport } = draining();
    feed(pingOf());
    answerAll();
    assert.deepEqual([transport.ended, transport.destroyed], [true, false]);
    pass(DRAIN_GRACE_MS - 2 * TICK_MS);
    assert.equal(transport.destroyed, false);
    pass(4 * TICK_MS);
    assert.equal(transport.destroyed, true);
  });
});
