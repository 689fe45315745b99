import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { causes } from '../errors.ts';
import type { Exchange } from '../message/message.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { frame, readFrames, requestFrame, wordFrame } from '../testing/http2-frames.ts';
import { fedServer, type FedServer } from '../testing/http2-server.ts';
import { Recorder, transportPair } from '../testing/loopback.ts';
import { AppSink } from '../testing/app-sink.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import { DEFAULT_FRAME_SIZE, ErrorCode, FrameType, LARGEST_FRAME, MAX_WINDOW, Setting } from './frames.ts';
import { FrameWriter } from './frame-writer.ts';
import * as limits from './limits.ts';
import { Receiver } from './receiver.ts';

/** A server's connection that has had preface and SETTINGS, whose clock stands still unless the test has one. */
function server(
  app: AppSink,
  transport: Transport = new FakeTransport(),
  timers = new TimerWheel(() => 0),
): FedServer {
  return fedServer(app, transport, timers);
}

/** What one frame carries. */
const PIECE = 16_384;
const FULL_FRAME = frame(FrameType.data, 0, 1, Buffer.alloc(PIECE));

function dataFrames(id: number, bytes: number): Buffer[] {
  const list: Buffer[] = [];
  for (let left = bytes; left > 0; left -= PIECE)
    list.push(frame(FrameType.data, 0, id, Buffer.alloc(Math.min(left, PIECE))));
  return list;
}

describe('HTTP/2 flow control: what is received', () => {
  test('bytes beyond a stream window reset that stream with FLOW_CONTROL_ERROR; the connection goes on', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { connection, feed } = server(app, transport);
    feed(requestFrame(1, 4), ...dataFrames(1, limits.STREAM_WINDOW));
    assert.equal(connection.bufferedBytes, limits.STREAM_WINDOW);
    transport.take();
    feed(frame(FrameType.data, 0, 1, 'x'), requestFrame(3));
    const [reset] = readFrames(transport.take());
    assert.deepEqual(
      [reset?.type, reset?.id, reset?.payload.readUInt32BE(0)],
      [FrameType.reset, 1, ErrorCode.flowControl],
    );
    assert.deepEqual([app.exchanges.length, app.resets], [2, [causes.badRequest]]);
    assert.equal(connection.bufferedBytes, 0);
  });

  test('a connection window that is overrun is told', () => {
    const receiver = new Receiver(new FrameWriter(new FakeTransport()), new TimerWheel(() => 0), { size: 0 });
    assert.equal(receiver.arrived(65_535), true);
    assert.equal(receiver.arrived(1), false);
  });

  test('a stream is credited when half of its window was consumed, which then is twice as large; the connection on receipt', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { feed } = server(app, transport);
    feed(requestFrame(1, 4), ...dataFrames(1, limits.STREAM_WINDOW));
    transport.take();
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    x.client.requestConsumed(x, limits.STREAM_WINDOW / 2 - 1);
    assert.equal(transport.take().length, 0);
    x.client.requestConsumed(x, 1);
    assert.deepEqual(transport.take(), wordFrame(FrameType.windowUpdate, 1, limits.STREAM_WINDOW * 1.5));
  });

  test('windows of receivers that take what comes grow up to the limit; all of a connection together no further than theirs', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { connection, feed } = server(app, transport);
    const windows = new Map<number, number>();
    const take = (x: Exchange, id: number): void => {
      // What the peer may have under way: consumed as it comes, half a window at a time.
      for (let window = limits.STREAM_WINDOW, round = 0; round < 8; round++) {
        feed(...dataFrames(id, window / 2));
        x.client.requestConsumed(x, window / 2);
        const [update] = readFrames(transport.take()).filter((f) => f.id === id);
        window += (update?.payload.readUInt32BE(0) ?? Number.NaN) - window / 2;
        windows.set(id, window);
      }
    };
    let opened = 0;
    const open = (): number => {
      const id = 2 * opened + 1;
      feed(requestFrame(id, 4));
      transport.take();
      const x = app.exchanges[opened++];
      assert.ok(x !== undefined);
      take(x, id);
      return id;
    };
    assert.equal(windows.get(open()), limits.MAX_STREAM_WINDOW);
    const growing = (limits.GROWN_WINDOWS - limits.MAX_STREAM_WINDOW) / limits.GROWN_STREAM_WINDOW;
    for (let i = 0; i < growing; i++) assert.equal(windows.get(open()), limits.GROWN_STREAM_WINDOW);
    const last = open();
    assert.equal(windows.get(last), limits.STREAM_WINDOW);
    // Who ends gives back what it had.
    for (const id of [1, last]) feed(frame(FrameType.reset, 0, id, Buffer.alloc(4)));
    assert.equal(windows.get(open()), limits.GROWN_STREAM_WINDOW);
    assert.equal(connection.bufferedBytes, 0);
  });

  test('the window of a receiver for whom bytes wait grows no further than those of many', () => {
    const app = new AppSink();
    const transport = new FakeTransport();
    const { connection, feed } = server(app, transport);
    feed(requestFrame(1, 4));
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    // What waits from the beginning on, and stays.
    const waits = limits.STREAM_WINDOW + PIECE;
    let allowed = limits.STREAM_WINDOW;
    const take = (n: number): void => {
      x.client.requestConsumed(x, n);
      for (const { type, id, payload } of readFrames(transport.take()))
        if (type === FrameType.windowUpdate && id === 1) allowed += payload.readUInt32BE(0);
    };
    let sent = 0;
    const takePieces = (waiting: number): void => {
      for (let i = 0; i < 400; i++) {
        const n = Math.min(waiting + PIECE - connection.bufferedBytes, allowed - sent);
        feed(...dataFrames(1, n));
        sent += n;
        take(PIECE);
      }
    };
    takePieces(waits);
    const window = allowed - sent + connection.bufferedBytes;
    assert.ok(window <= limits.GROWN_STREAM_WINDOW, `window ${window}`);
    assert.ok(window > limits.GROWN_STREAM_WINDOW - limits.STREAM_CREDIT, `window ${window}`);
    take(waits);
    takePieces(0);
    const quick = allowed - sent;
    assert.ok(quick > limits.MAX_STREAM_WINDOW - limits.STREAM_CREDIT, `window ${quick}`);
  });

  test('a large window is credited long before half of it was taken', () => {
    const app = new AppSink();
    const transport = new FakeTransport();
    const { feed } = server(app, transport);
    feed(requestFrame(1, 4));
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    const take = (n: number): Buffer => {
      feed(...dataFrames(1, n));
      transport.take();
      x.client.requestConsumed(x, n);
      return transport.take();
    };
    for (let i = 0; i < 400; i++) take(PIECE);
    // From a credit on.
    for (let taken = 0; take(PIECE).length === 0; taken += PIECE) assert.ok(taken < limits.STREAM_CREDIT);
    assert.equal(take(limits.STREAM_CREDIT - 1).length, 0);
    assert.deepEqual(take(1), wordFrame(FrameType.windowUpdate, 1, limits.STREAM_CREDIT));
  });

  test('the windows of so many streams that they fill a network together do not grow', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { feed } = server(app, transport);
    const many = limits.GROWN_WINDOWS / limits.STREAM_WINDOW;
    const ids = Array.from({ length: many }, (_, i) => 2 * i + 1);
    feed(...ids.map((id) => requestFrame(id, 4)));
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    const half = limits.STREAM_WINDOW / 2;
    const creditFor = (taken: number): number => {
      feed(...dataFrames(1, taken));
      transport.take();
      x.client.requestConsumed(x, taken);
      return readFrames(transport.take())[0]?.payload.readUInt32BE(0) ?? Number.NaN;
    };
    assert.equal(creditFor(half), half);
    feed(frame(FrameType.reset, 0, 3, Buffer.alloc(4)));
    assert.equal(creditFor(half), limits.STREAM_WINDOW * 1.5, 'one less: there is room for one to grow');
  });

  test('more bytes in all than a connection may hold: the streams that have been stuck longest make room, one at a time', () => {
    let now = 0;
    const app = new AppSink();
    const transport = new FakeTransport();
    const { connection, feed } = server(app, transport, new TimerWheel(() => now));
    const fitting = limits.CONNECTION_BUFFER / limits.STREAM_WINDOW;
    for (let i = 0; i < fitting; i++) {
      now = i;
      feed(requestFrame(2 * i + 1, 4), ...dataFrames(2 * i + 1, limits.STREAM_WINDOW));
    }
    assert.equal(connection.bufferedBytes, limits.CONNECTION_BUFFER);
    assert.equal(connection.activeStreams, fitting);
    transport.take();
    feed(requestFrame(2 * fitting + 1, 4), frame(FrameType.data, 0, 2 * fitting + 1, 'x'));
    assert.deepEqual(app.resets, [causes.stalled]);
    assert.equal(connection.activeStreams, fitting);
    assert.equal(connection.bufferedBytes, limits.CONNECTION_BUFFER - limits.STREAM_WINDOW + 1);
    const told = readFrames(transport.take()).filter((f) => f.type !== FrameType.windowUpdate);
    // 408 and, since the request had not ended, the reset that says so.
    assert.deepEqual(
      told.map((f) => [f.type, f.id]),
      [
        [FrameType.headers, 1],
        [FrameType.reset, 1],
      ],
    );
  });
});

describe('HTTP/2 flow control: what is sent', () => {
  /** Ids of the DATA frames that were written since the last call. */
  const turns = (transport: FakeTransport): number[] =>
    readFrames(transport.take())
      .filter((f) => f.type === FrameType.data)
      .map((f) => f.id);

  test('streams that wait for the output take turns, a frame each', () => {
    const transport = new FakeTransport();
    const app = new AppSink(Buffer.alloc(40_000));
    const { connection, feed } = server(app, transport);
    feed(wordFrame(FrameType.windowUpdate, 0, MAX_WINDOW - 65_535));
    transport.room = false;
    feed(requestFrame(1), requestFrame(3), requestFrame(5));
    // The first frame told that the output is full: nothing was written after it.
    assert.deepEqual(turns(transport), [1]);
    const consumed = app.consumed;
    transport.room = true;
    connection.onDrain();
    assert.deepEqual(turns(transport), [1, 3, 5, 1, 3, 5, 3, 5]);
    // Nobody is told of the bytes that end a stream.
    assert.deepEqual([consumed, app.consumed, connection.activeStreams], [16_384, 6 * 16_384, 0]);
  });

  test('a frame is as large as the peer allows, and no larger than ours may be', () => {
    for (const [allowed, expected] of [
      [undefined, DEFAULT_FRAME_SIZE],
      [20_000, 20_000],
      [1_000_000, LARGEST_FRAME],
    ] as const) {
      const transport = new FakeTransport();
      const { feed } = server(new AppSink(Buffer.alloc(100_000)), transport);
      const words = Buffer.alloc(12);
      words.writeUInt16BE(Setting.initialWindowSize, 0);
      words.writeUInt32BE(100_000, 2);
      words.writeUInt16BE(Setting.maxFrameSize, 6);
      words.writeUInt32BE(allowed ?? DEFAULT_FRAME_SIZE, 8);
      feed(frame(FrameType.settings, 0, 0, words), wordFrame(FrameType.windowUpdate, 0, 100_000));
      transport.take();
      feed(requestFrame(1));
      const sizes = readFrames(transport.take())
        .filter((f) => f.type === FrameType.data)
        .map((f) => f.payload.length);
      assert.equal(sizes[0], expected);
      assert.equal(
        sizes.reduce((sum, n) => sum + n, 0),
        100_000,
      );
    }
  });

  test('a stream without window does not hold up the others, and goes on with its WINDOW_UPDATE', () => {
    const transport = new FakeTransport();
    const app = new AppSink(Buffer.alloc(70_000));
    const { connection, feed } = server(app, transport);
    feed(wordFrame(FrameType.windowUpdate, 0, MAX_WINDOW - 65_535), requestFrame(1), requestFrame(3));
    assert.equal(app.consumed, 2 * 65_535);
    transport.take();
    feed(wordFrame(FrameType.windowUpdate, 3, 10_000));
    assert.deepEqual(turns(transport), [3]);
    assert.equal(connection.activeStreams, 1);
    feed(wordFrame(FrameType.windowUpdate, 1, 4_465));
    assert.deepEqual(turns(transport), [1]);
    assert.equal(connection.activeStreams, 0);
  });

  describe('of a window so little is left that it makes no frame', () => {
    const sizes = (transport: FakeTransport): number[] =>
      readFrames(transport.take())
        .filter((f) => f.type === FrameType.data)
        .map((f) => f.payload.length);
    const credit = (id: number, n: number): Buffer => wordFrame(FrameType.windowUpdate, id, n);
    const initialWindow = (n: number): Buffer => {
      const words = Buffer.alloc(6);
      words.writeUInt16BE(Setting.initialWindowSize, 0);
      words.writeUInt32BE(n, 2);
      return frame(FrameType.settings, 0, 0, words);
    };
    const WHOLE = [16_384, 16_384, 16_384, 16_383];

    for (const [whose, id, more] of [
      ["the stream's", 1, credit(0, MAX_WINDOW - 65_535)],
      ["the connection's", 0, initialWindow(MAX_WINDOW)],
    ] as const) {
      test(`${whose}: it waits for more`, () => {
        const transport = new FakeTransport();
        const { feed } = server(new AppSink(Buffer.alloc(100_000)), transport);
        feed(more, requestFrame(1));
        assert.deepEqual(sizes(transport), WHOLE);
        feed(credit(id, 1), credit(id, limits.LEAST_PART - 2));
        assert.deepEqual(sizes(transport), []);
        feed(credit(id, 1));
        assert.deepEqual(sizes(transport), [limits.LEAST_PART]);
      });

      test(`${whose}: it goes out after a while, to a receiver that gives no more before`, () => {
        let now = 0;
        const transport = new FakeTransport();
        const timers = new TimerWheel(() => now);
        const { feed } = server(new AppSink(Buffer.alloc(100_000)), transport, timers);
        feed(more, requestFrame(1), credit(id, 1));
        assert.deepEqual(sizes(transport), WHOLE);
        now = limits.CRUMB_MS;
        timers.tick();
        assert.deepEqual(sizes(transport), [1]);
        feed(credit(id, 1));
        assert.deepEqual(sizes(transport), []);
      });

      test(`${whose}: what is all that waits goes out at once`, () => {
        const transport = new FakeTransport();
        const { connection, feed } = server(new AppSink(Buffer.alloc(65_535 + 5)), transport);
        feed(more, requestFrame(1), credit(id, 5));
        assert.deepEqual(sizes(transport), [...WHOLE, 5]);
        assert.equal(connection.activeStreams, 0);
      });
    }

    test('a stream that waits for more does not hold up the others', () => {
      const transport = new FakeTransport();
      const { feed } = server(new AppSink(Buffer.alloc(100_000)), transport);
      feed(credit(0, MAX_WINDOW - 65_535), requestFrame(1), requestFrame(3));
      transport.take();
      feed(credit(1, 1), credit(3, 2_000));
      assert.deepEqual(turns(transport), [3]);
    });

    test('a peer that begins with small windows gets what it asks for', () => {
      const transport = new FakeTransport();
      const { feed } = server(new AppSink(Buffer.alloc(250)), transport);
      feed(initialWindow(100), requestFrame(1), credit(1, 1), credit(1, 200));
      assert.deepEqual(sizes(transport), [100, 1, 149]);
    });
  });

  test('a peer that asks and asks without reading the answers is given up', () => {
    const transport = new FakeTransport();
    const { connection, feed } = server(new AppSink(), transport);
    transport.pendingBytes = limits.MAX_OUTPUT + 1;
    transport.take();
    feed(frame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    const last = readFrames(transport.take()).at(-1);
    assert.deepEqual(
      [last?.type, last?.payload.readUInt32BE(4), connection.closed, transport.ended],
      [FrameType.goaway, ErrorCode.enhanceYourCalm, true, true],
    );
  });

  test('a GOAWAY that tells an error leaves behind a write that is under way', async () => {
    for (const [, wrap] of TRANSPORTS) {
      const pair = await transportPair(wrap);
      const peer = new Recorder();
      pair.client.handler = peer;
      pair.client.pause();
      const timers = new TimerWheel(() => 0);
      const { connection, feed } = server(new AppSink(Buffer.alloc(60_000, 1)), pair.server, timers);
      // Fill the kernel's buffers, so that the answers are still on their way when the error comes.
      while (pair.server.write(FULL_FRAME, 0, FULL_FRAME.length));
      assert.ok(pair.server.pendingBytes > 0);
      feed(requestFrame(2));
      assert.equal(connection.closed, true);
      pair.client.resume();
      await peer.until(() => peer.ended);
      const last = readFrames(peer.bytes()).at(-1);
      assert.deepEqual([last?.type, last?.payload.readUInt32BE(4)], [FrameType.goaway, ErrorCode.protocol]);
      pair.client.end();
      await peer.until(() => peer.closed);
    }
  });
});
