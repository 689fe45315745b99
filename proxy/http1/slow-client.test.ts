import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { causes } from '../errors.ts';
import { Head } from '../message/head.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { recorder, transportPair } from '../testing/loopback.ts';
import { handleWrap } from '../transport/handle-transport.ts';
import { wrapStream } from '../transport/stream-transport.ts';
import { AppSink } from '../testing/app-sink.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import {
  BODY_STALL_MS,
  DISCARD_LIMIT,
  HALF_CLOSED_MS,
  HEAD_TIMEOUT_MS,
  IDLE_MS,
  LINGER_MS,
} from './limits.ts';
import { Http1ServerConnection } from './server-connection.ts';

/** A connection whose clock the test moves. */
function start(app: AppSink, transport: Transport) {
  let now = 0;
  const timers = new TimerWheel(() => now);
  const closed = Promise.withResolvers<void>();
  const connection = new Http1ServerConnection(transport, {
    timers,
    route: () => app,
    onClose: () => closed.resolve(),
  });
  return {
    connection,
    feed: (text: string): void => {
      const bytes = Buffer.from(text);
      connection.onData(bytes, 0, bytes.length);
    },
    /** Lets time pass in steps of a second, as a running process sees it. */
    pass: (ms: number): void => {
      for (const end = now + ms; now < end;) {
        now += Math.min(1_000, end - now);
        timers.tick();
      }
    },
    closed: closed.promise,
  };
}

/** Two ticks: what fires at most a tick late has fired. */
const LATE = 200;
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('HTTP/1: a client that is slow', () => {
  test('a head that trickles in is answered 408 at its time, however often a byte comes', () => {
    const transport = new FakeTransport();
    const { feed, pass } = start(new AppSink(), transport);
    for (let i = 0; i < 10; i++) {
      feed(GET.charAt(i));
      pass(HEAD_TIMEOUT_MS / 10 - 100);
      assert.equal(transport.text(), '');
    }
    pass(1_000 + LATE);
    assert.match(transport.text(), /^HTTP\/1.1 408 Request Timeout\r\nl5d-proxy-error: stalled\r\n/);
    assert.equal(transport.ended, true);
  });

  test('what comes behind an early answer is dropped up to a limit, and the next request served; beyond, the connection ends', () => {
    for (const [bytes, goesOn] of [
      [DISCARD_LIMIT, true],
      [DISCARD_LIMIT + 1, false],
    ] as const) {
      const transport = new FakeTransport();
      const app = new AppSink(Buffer.from('early'));
      const { feed } = start(app, transport);
      feed(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes + 1}\r\n\r\n`);
      feed('x'.repeat(bytes));
      assert.equal(transport.ended, !goesOn, `${bytes} bytes`);
      feed(`x${GET}`);
      assert.equal(app.exchanges.length, goesOn ? 2 : 1);
    }
  });

  test('a body that stops is answered 408 and its request reset; one that moves is not', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { feed, pass } = start(app, transport);
    feed(POST);
    for (const byte of 'ab') {
      pass(BODY_STALL_MS - 1_000);
      feed(byte);
    }
    assert.deepEqual([app.resets, transport.text()], [[], '']);
    pass(BODY_STALL_MS + LATE);
    assert.deepEqual(app.resets, [causes.stalled]);
    assert.match(transport.text(), /^HTTP\/1.1 408 /);
  });

  test('a body that we do not read does not count as stalled', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { feed, pass } = start(app, transport);
    feed(POST.replace('3', '600000'));
    feed('x'.repeat(300_000));
    assert.equal(transport.paused, true);
    pass(3 * BODY_STALL_MS);
    assert.deepEqual(app.resets, []);
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    x.client.requestConsumed(x, 300_000);
    assert.equal(transport.paused, false);
    pass(2 * BODY_STALL_MS);
    assert.deepEqual(app.resets, [causes.stalled]);
  });

  test('an app may take its time; an unused connection is closed after the idle time, from its last response on', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { feed, pass } = start(app, transport);
    pass(IDLE_MS / 2);
    feed(GET);
    pass(2 * IDLE_MS);
    const [x] = app.exchanges;
    assert.ok(x !== undefined);
    app.answer(x, Buffer.alloc(0));
    pass(IDLE_MS - 1_000);
    assert.equal(transport.ended, false);
    pass(1_000 + LATE);
    assert.deepEqual([transport.ended, transport.destroyed], [true, false]);
    pass(LINGER_MS + LATE);
    assert.equal(transport.destroyed, true);
  });

  test('a response that is on its way when the connection is to close gets its time as long as it moves', () => {
    const transport = new FakeTransport();
    const { feed, pass } = start(new AppSink(Buffer.alloc(100)), transport);
    transport.pendingBytes = 50_000;
    feed(GET.replace('Host', 'Connection: close\r\nHost'));
    assert.equal(transport.ended, true);
    for (let i = 0; i < 20; i++) {
      transport.takenBytes += 1_000;
      pass(10_000);
    }
    assert.equal(transport.destroyed, false);
    transport.pendingBytes = 0;
    pass(LINGER_MS + LATE);
    assert.equal(transport.destroyed, true);
  });

  test('one that has ended its side and hears nothing has given up: its request is taken back', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { connection, feed, pass } = start(app, transport);
    feed(GET + GET);
    connection.onEnd();
    pass(HALF_CLOSED_MS - LATE);
    assert.deepEqual(app.resets, []);
    pass(2 * LATE);
    assert.deepEqual(app.resets, [causes.clientGone]);
    assert.equal(transport.destroyed, true);
    assert.equal(app.exchanges.length, 1);
  });

  test('one that has only half-closed gets all its answers, as long as they go on', () => {
    const transport = new FakeTransport();
    const app = new AppSink();
    const { connection, feed, pass } = start(app, transport);
    feed(GET + GET);
    connection.onEnd();
    for (const body of ['first', 'second']) {
      const x = app.exchanges.at(-1) ?? assert.fail('no request');
      const head = new Head();
      head.status = 200;
      head.contentLength = body.length;
      x.client.responseHead(x, head, false);
      for (let i = 0; i < body.length; i++) {
        pass(HALF_CLOSED_MS - LATE);
        x.client.responseData(x, Buffer.from(body), i, i + 1, i === body.length - 1);
      }
    }
    assert.match(transport.text(), /\r\n\r\nfirstHTTP\/1.1 200[^]*\r\n\r\nsecond$/);
    assert.deepEqual(app.resets, []);
    assert.equal(transport.ended, true);
  });

  for (const [maker, wrap] of [
    ['socket handles', handleWrap(wrapStream) ?? wrapStream],
    ['public streams', wrapStream],
  ] as const) {
    test(`a client that reads nothing of its whole response is cut off, on ${maker}`, async () => {
      const { client, server } = await transportPair(wrap);
      const seen = recorder(client);
      client.pause();
      // More than the kernel's buffers take, so that bytes stay with us.
      const { feed, pass, closed } = start(new AppSink(Buffer.alloc(16_000_000)), server);
      feed(GET);
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(server.pendingBytes > 0);
      pass(25_000);
      assert.ok(server.pendingBytes > 0);
      pass(20_000);
      await closed;
      client.resume();
      await seen.until(() => seen.closed || seen.ended);
      assert.ok(seen.length < 16_000_000, `${seen.length} bytes came`);
      client.destroy();
    });
  }

  test('a client that asks and asks without reading gets no further request served until it does', () => {
    const transport = new FakeTransport();
    const app = new AppSink(Buffer.alloc(10));
    const { connection, feed } = start(app, transport);
    transport.room = false;
    feed(GET.repeat(5));
    assert.equal(app.exchanges.length, 1);
    assert.equal(transport.paused, true);
    feed(GET.repeat(5));
    assert.equal(app.exchanges.length, 1);
    connection.onDrain();
    assert.equal(app.exchanges.length, 2);
    transport.room = true;
    connection.onDrain();
    assert.equal(app.exchanges.length, 10);
    assert.equal(transport.paused, false);
  });
});
