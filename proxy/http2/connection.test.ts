import assert from 'node:assert/strict';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import type { RequestSink, ResponseSink } from '../message/message.ts';
import { setSpan, spanText } from '../bytes/span.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { REQUEST, SETTINGS, frame, readFrames } from '../testing/http2-frames.ts';
import { http2Pair } from '../testing/http2-pair.ts';
import { listenHttp2 } from '../testing/http2-server.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { connectPlain } from '../transport/connect.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Http2Connection } from './connection.ts';
import { ErrorCode, Flag, FrameType, PREFACE } from './frames.ts';
import * as limits from './limits.ts';

/** A client's side: keeps the answer; takes its bytes only while `taking`. */
class Client implements ResponseSink {
  readonly x = new Exchange(this);
  status = 0;
  fields: string[] = [];
  length = 0;
  ended = false;
  cause: Cause | undefined;
  taking = true;
  connection: Http2Connection | undefined;
  readonly #done = Promise.withResolvers<void>();
  readonly done = this.#done.promise;

  responseHead(_x: Exchange, head: Head, end: boolean): void {
    this.status = head.status;
    for (let i = 0; i < head.count; i++)
      this.fields.push(
        `${head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i])}=${head.value(i)}`,
      );
    if (end) this.#finish();
  }
  responseData(x: Exchange, _buffer: Buffer, start: number, end: number, last: boolean): void {
    this.length += end - start;
    if (this.taking) this.connection?.responseConsumed(x, end - start);
    if (last) this.#finish();
  }
  responseTrailers(_x: Exchange, trailers: Head): void {
    this.fields.push(`trailer ${trailers.value(0)}`);
    this.#finish();
  }
  responseReset(_x: Exchange, cause: Cause): void {
    this.cause = cause;
    this.#done.resolve();
  }
  requestConsumed(): void {}
  #finish(): void {
    this.ended = true;
    this.#done.resolve();
  }
}

/** A server's side that answers every request with `bytes` bytes, as fast as they are taken. */
class Source implements RequestSink {
  readonly #bytes: number;
  readonly resets: Cause[] = [];
  readonly seen: string[] = [];
  constructor(bytes: number) {
    this.#bytes = bytes;
  }
  requestHead(x: Exchange, head: Head): void {
    this.seen.push([spanText(head.method), spanText(head.authority), spanText(head.path)].join(' '));
    const answer = new Head();
    answer.status = 200;
    x.client.responseHead(x, answer, false);
    x.client.responseData(x, Buffer.alloc(this.#bytes, 120), 0, this.#bytes, true);
  }
  requestData(): void {}
  requestTrailers(): void {}
  requestReset(_x: Exchange, cause: Cause): void {
    this.resets.push(cause);
  }
  responseConsumed(): void {}
}

/** As the first certificate is asked for. */
function anonymousClient(): { transport: FakeTransport; connection: Http2Connection } {
  const transport = new FakeTransport();
  const timers = new TimerWheel(() => 0);
  const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: false, early: true });
  return { transport, connection };
}

function get(path = '/', fields: [FieldId, string, string][] = []): Head {
  const head = new Head();
  setSpan(head.method, 'GET');
  setSpan(head.path, path);
  setSpan(head.authority, 'web.test');
  setSpan(head.scheme, 'http');
  for (const [id, name, value] of fields) {
    const [n, v] = [Buffer.from(name), Buffer.from(value)];
    head.add(id, n, 0, n.length, v, 0, v.length);
  }
  return head;
}

function send(connection: Http2Connection, head = get(), taking = true): Client {
  const client = new Client();
  client.connection = connection;
  client.taking = taking;
  connection.requestHead(client.x, head, true);
  return client;
}

for (const [maker, wrap] of TRANSPORTS)
  describe(`HTTP/2 between proxies, on ${maker}`, () => {
    test('hundreds of stalled readers beside healthy ones on one connection: only they are reset, and memory stays bounded', async () => {
      let now = 0;
      const timers = new TimerWheel(() => now);
      const source = new Source(600_000);
      const pair = await http2Pair(wrap, timers, () => source);
      const stalled = Array.from({ length: 300 }, () => send(pair.client, get(), false));
      const healthy = Array.from({ length: 20 }, () => send(pair.client));
      await Promise.all(healthy.map((c) => c.done));
      assert.ok(healthy.every((c) => c.length === 600_000 && c.ended));
      assert.ok(stalled.every((c) => c.length <= limits.STREAM_WINDOW));
      assert.ok(pair.client.bufferedBytes <= limits.CONNECTION_BUFFER + limits.STREAM_WINDOW);
      // Time passes in steps, so that the peers' keep-alive is answered in between.
      for (let i = 0; i < 18; i++) {
        now += 2_500;
        timers.tick();
        const alive = send(pair.client);
        await alive.done;
        assert.equal(alive.length, 600_000);
      }
      await Promise.all(stalled.map((c) => c.done));
      assert.ok(stalled.every((c) => c.cause === causes.stalled || c.cause === causes.upstreamReset));
      assert.equal(pair.client.activeStreams, 0);
      assert.equal(pair.client.bufferedBytes, 0);
      pair.client.destroy();
    });

    test('drain: what is under way ends, new requests are not taken, then both sides close', async () => {
      const timers = new TimerWheel();
      const waiting: Exchange[] = [];
      const sink = new Source(10);
      const holding: RequestSink = { ...sinkOf(sink), requestHead: (x) => void waiting.push(x) };
      const closed = Promise.withResolvers<void>();
      const draining = Promise.withResolvers<void>();
      const pair = await http2Pair(wrap, timers, () => holding, {
        client: { onClose: () => closed.resolve(), onDraining: () => draining.resolve() },
      });
      const first = send(pair.client);
      const arrived = send(pair.client);
      while (waiting.length < 2) await new Promise((resolve) => setImmediate(resolve));
      pair.server.drain();
      await draining.promise;
      assert.equal(pair.client.available, false);
      const late = send(pair.client);
      assert.ok(late.x.refused && late.cause !== undefined);
      for (const x of waiting) sink.requestHead(x, get());
      await Promise.all([first.done, arrived.done]);
      assert.ok(first.ended && arrived.ended);
      await closed.promise;
    });

    test('a peer that dies resets what is under way', async () => {
      const pair = await http2Pair(wrap, new TimerWheel(), () => ({
        ...sinkOf(new Source(1)),
        requestHead() {},
      }));
      const client = send(pair.client);
      pair.server.destroy();
      await client.done;
      assert.equal(client.cause, causes.upstreamReset);
    });

    test('our pseudo-headers arrive from our proxies, before all fields; a reset before the head is an answer that tells its cause', async () => {
      const seen: string[] = [];
      const pair = await http2Pair(wrap, new TimerWheel(), (x, head) => {
        seen.push(
          `${head.value(head.find(FieldId.isthmusPort))} ${head.value(head.find(FieldId.isthmusProtocol))} ${x.opaque}`,
        );
        return {
          ...sinkOf(new Source(1)),
          requestHead: (y) => y.client.responseReset(y, causes.notExported),
        };
      });
      const fields: [FieldId, string, string][] = [
        [FieldId.contentType, 'content-type', 'text/plain'],
        [FieldId.isthmusPort, ':isthmus-port', '80'],
        [FieldId.isthmusProtocol, ':isthmus-protocol', 'http/1.1'],
      ];
      const client = send(pair.client, get('/', fields));
      await client.done;
      assert.deepEqual(
        [client.status, client.fields, seen],
        [404, ['l5d-proxy-error=not-exported'], ['80 http/1.1 false']],
      );
      const grpc = send(pair.client, get('/', [[FieldId.contentType, 'content-type', 'application/grpc']]));
      await grpc.done;
      assert.deepEqual(
        [grpc.status, grpc.fields],
        [
          200,
          [
            'l5d-proxy-error=not-exported',
            'content-type=application/grpc',
            'grpc-status=5',
            'grpc-message=not-exported',
          ],
        ],
      );
      pair.client.destroy();
    });
  });

function sinkOf(source: Source): RequestSink {
  return {
    requestHead: (x, head) => source.requestHead(x, head),
    requestData: () => undefined,
    requestTrailers: () => undefined,
    requestReset: (x, cause) => source.requestReset(x, cause),
    responseConsumed: () => undefined,
  };
}

/** What a server's connection answers to these frames: types of frames, with the code of RST_STREAM and GOAWAY. */
function answers(frames: Buffer[], isthmus = false): string[] {
  const transport = new FakeTransport();
  const source = new Source(1);
  const connection = new Http2Connection(transport, {
    side: 'server',
    timers: new TimerWheel(() => 0),
    isthmus,
    route: () => source,
  });
  const bytes = Buffer.concat([PREFACE, ...frames]);
  connection.onData(bytes, 0, bytes.length);
  const list: string[] = [];
  for (const { type, payload } of readFrames(transport.bytes())) {
    if (type === FrameType.reset) list.push(`reset ${payload.readUInt32BE(0)}`);
    else if (type === FrameType.goaway) list.push(`goaway ${payload.readUInt32BE(4)}`);
    else if (type === FrameType.headers) list.push(`headers ${source.seen.length}`);
  }
  return list;
}

test('what was under way on streams that we reset, however many at once, is no error', () => {
  const ids = Array.from({ length: 300 }, (_, i) => 2 * i + 1);
  // Each is answered at its head, and reset since the client has not ended it.
  const opened = ids.map((id) => frame(FrameType.headers, 4, id, REQUEST));
  const underWay = Array.from({ length: 5 }, () => ids.map((id) => frame(FrameType.data, 0, id, 'x'))).flat();
  const heard = answers([SETTINGS, ...opened, ...underWay]);
  assert.deepEqual(
    heard.filter((one) => !one.startsWith('headers')),
    ids.map(() => `reset ${ErrorCode.none}`),
  );
});

describe('HTTP/2: what a peer may not do', () => {
  const headers = (block: string, id = 1, flags = 5): Buffer =>
    frame(FrameType.headers, flags, id, Buffer.from(block, 'hex'));
  const literal = (name: string, value: string): string =>
    Buffer.from(
      `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
      'latin1',
    ).toString('hex');
  const good = REQUEST.toString('hex');
  const goaway = (code: number): string[] => [`goaway ${code}`];
  const refused = ['headers 0', `reset ${ErrorCode.protocol}`];

  for (const [what, frames, expected] of [
    ['a good request', [headers(good)], ['headers 1']],
    ['no SETTINGS first', [], []],
    ['an unknown pseudo-header', [headers(good + literal(':proto', 'x'))], refused],
    ['ours from an app', [headers(good + literal(':isthmus-target', 'x'))], refused],
    ['a pseudo-header behind a field', [headers(literal('a', 'b') + good)], refused],
    ['a pseudo-header twice', [headers(`${good}82`)], refused],
    ['no path', [headers('8286010161')], refused],
    ['upper case in a name', [headers(good + literal('X-A', 'b'))], refused],
    ['connection', [headers(good + literal('connection', 'close'))], refused],
    ['transfer-encoding', [headers(good + literal('transfer-encoding', 'chunked'))], refused],
    ['te: gzip', [headers(good + literal('te', 'gzip'))], refused],
    ['a host that contradicts', [headers(good + literal('host', 'b'))], refused],
    ['CR in a value', [headers(good + literal('a', 'b\rc'))], refused],
    ['space around a value', [headers(good + literal('a', ' b'))], refused],
    [
      'two content-lengths',
      [headers(good + literal('content-length', '0') + literal('content-length', '0'))],
      refused,
    ],
    ['a status in a request', [headers(`${good}88`)], refused],
    ['a content-length without content', [headers(good + literal('content-length', '3'))], refused],
    [
      'less content than declared',
      [headers(good + literal('content-length', '3'), 1, 4), frame(0, 1, 1, 'ab')],
      ['headers 1', 'reset 0'],
    ],
    ['an even stream', [headers(good, 2)], goaway(ErrorCode.protocol)],
    ['a broken block', [headers('ff')], goaway(ErrorCode.compression)],
    ['DATA on an idle stream', [frame(0, 0, 1, 'a')], goaway(ErrorCode.protocol)],
    ['RST_STREAM on an idle stream', [frame(3, 0, 1, Buffer.alloc(4))], goaway(ErrorCode.protocol)],
    ['CONTINUATION alone', [frame(9, 4, 1, 'a')], goaway(ErrorCode.protocol)],
    [
      'a frame between HEADERS and CONTINUATION',
      [headers(good, 1, 1), frame(6, 0, 0, Buffer.alloc(8))],
      goaway(ErrorCode.protocol),
    ],
    [
      'DATA between HEADERS and CONTINUATION',
      [headers(good, 1, 1), frame(0, 0, 1, 'a')],
      goaway(ErrorCode.protocol),
    ],
    ['too large a frame', [frame(77, 0, 0, Buffer.alloc(65_537))], goaway(ErrorCode.frameSize)],
    [
      'endless CONTINUATION',
      [headers(good, 1, 1), ...Array.from({ length: 9 }, () => frame(9, 0, 1, Buffer.alloc(8192)))],
      goaway(ErrorCode.enhanceYourCalm),
    ],
    ['SETTINGS of odd length', [frame(4, 0, 0, 'abc')], goaway(ErrorCode.frameSize)],
    [
      'a window that overflows',
      [frame(8, 0, 0, Buffer.from('7fffffff', 'hex'))],
      goaway(ErrorCode.flowControl),
    ],
    ['an increment of 0', [frame(8, 0, 0, Buffer.alloc(4))], goaway(ErrorCode.protocol)],
    [
      'a flood of PING',
      Array.from({ length: limits.CONTROL_BURST + 1 }, () => frame(6, 0, 0, Buffer.alloc(8))),
      goaway(ErrorCode.enhanceYourCalm),
    ],
  ] as const) {
    test(`${what} -> ${expected.join(', ')}`, () => {
      assert.deepEqual(answers(what === 'no SETTINGS first' ? [...frames] : [SETTINGS, ...frames]), expected);
    });
  }

  test('a frame before SETTINGS, and a flood of resets', () => {
    assert.deepEqual(answers([headers(good)]), goaway(ErrorCode.protocol));
    const rapid = Array.from({ length: limits.RESET_BURST + 1 }, (_, i) => [
      headers(good, 2 * i + 1, 4),
      frame(3, 0, 2 * i + 1, Buffer.alloc(4)),
    ]);
    assert.equal(answers([SETTINGS, ...rapid.flat()]).at(-1), `goaway ${ErrorCode.enhanceYourCalm}`);
  });

  test('a client sends nothing but preface and SETTINGS before the peer has spoken, and gives up on a silent one', () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const transport = new FakeTransport();
    const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: true });
    const bytes = transport.take();
    assert.deepEqual(
      [bytes.subarray(0, PREFACE.length), bytes[PREFACE.length + 3]],
      [PREFACE, FrameType.settings],
    );
    assert.equal(bytes.length, PREFACE.length + 9 + bytes.readUIntBE(PREFACE.length, 3));
    assert.equal(send(connection).x.refused, true);
    assert.equal(transport.take().length, 0);
    now = limits.SETTINGS_TIMEOUT_MS + 200;
    timers.tick();
    const [goaway] = readFrames(transport.take());
    assert.deepEqual(
      [goaway?.type, goaway?.payload.readUInt32BE(4), transport.ended, transport.destroyed],
      [FrameType.goaway, ErrorCode.settingsTimeout, true, false],
    );
    now += limits.FAIL_GRACE_MS + 200;
    timers.tick();
    assert.equal(transport.destroyed, true);
  });

  test('a client that shows no certificate sends requests behind its preface, within what every peer allows', () => {
    const { transport, connection } = anonymousClient();
    assert.deepEqual([connection.available, connection.ready], [true, false]);
    const body = Buffer.alloc(70_000, 1);
    const client = new Client();
    connection.requestHead(client.x, get(), false);
    connection.requestData(client.x, body, 0, body.length, true);
    const [settings, headers, ...data] = readFrames(transport.take().subarray(PREFACE.length));
    assert.deepEqual([settings?.type, headers?.type], [FrameType.settings, FrameType.headers]);
    assert.ok(data.every(({ type, payload }) => type === FrameType.data && payload.length <= 16_384));
    assert.equal(
      data.reduce((sum, { payload }) => sum + payload.length, 0),
      65_535,
    );
    // One stream is under way, which is as many as the peer takes.
    const one = Buffer.alloc(6);
    one.writeUInt16BE(3);
    one.writeUInt32BE(1, 2);
    const limited = frame(FrameType.settings, 0, 0, one);
    connection.onData(limited, 0, limited.length);
    assert.deepEqual([connection.available, connection.ready, client.x.refused], [false, true, false]);
  });

  test('what was sent before the peer has spoken ends with the connection', () => {
    const { transport, connection } = anonymousClient();
    const client = send(connection);
    connection.drain();
    assert.deepEqual(
      [transport.destroyed, connection.available, client.cause],
      [true, false, causes.upstreamReset],
    );
  });

  test('silence is asked with PING and ends the connection when it lasts', () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const transport = new FakeTransport();
    const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: true });
    connection.onData(SETTINGS, 0, SETTINGS.length);
    const pass = (ms: number): void => {
      now += ms;
      timers.tick();
    };
    // It counts from what has come last, not from the look before.
    pass(limits.PING_AFTER_MS - 1_000);
    connection.onData(SETTINGS, 0, SETTINGS.length);
    const before = transport.bytes().length;
    pass(limits.PING_AFTER_MS - 200);
    assert.equal(transport.bytes().length, before);
    pass(400);
    assert.equal(transport.bytes().at(-17 + 3), FrameType.ping);
    pass(limits.PING_ANSWER_MS - 200);
    assert.equal(transport.destroyed, false);
    pass(400);
    assert.equal(transport.destroyed, true);
  });

  test('a connection is lost: what was written to it may not be sent again, also an idempotent request into a silence', () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const connection = new Http2Connection(new FakeTransport(), { side: 'client', timers, isthmus: true });
    connection.onData(SETTINGS, 0, SETTINGS.length);
    now += 1_000;
    timers.tick();
    const { x } = send(connection);
    connection.onClose();
    assert.equal(x.refused, false);
  });

  test('a peer that asks is asked in turn, once: nothing of ours may arrive any more', () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const transport = new FakeTransport();
    const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: true });
    const receive = (bytes: Buffer): void => connection.onData(bytes, 0, bytes.length);
    const pass = (ms: number): void => {
      for (let i = 0; i < ms; i += 100) {
        now += 100;
        timers.tick();
      }
    };
    const pings = (): number => transport.take().toString('latin1').split('isthmus\0').length - 1;
    const asks = frame(FrameType.ping, 0, 0, Buffer.from('who?who?'));
    const answers = frame(FrameType.ping, Flag.ack, 0, Buffer.from('isthmus\0'));
    for (let i = 0; i < 3; i++) {
      receive(SETTINGS);
      pass(limits.PING_AFTER_MS - 500);
      pings();
      receive(asks);
      receive(asks);
      assert.equal(pings(), 1);
      receive(answers);
      pass(limits.PING_ANSWER_MS + 200);
      assert.equal(transport.destroyed, false);
    }
    pass(limits.PING_AFTER_MS - limits.PING_ANSWER_MS);
    // It asks, and has bytes for us as well, but no answer: they go on as long as those come.
    receive(asks);
    for (let i = 0; i < 3; i++) {
      pass(limits.PING_ANSWER_MS - 500);
      receive(asks);
      assert.equal(transport.destroyed, false);
    }
    pass(limits.PING_ANSWER_MS + 200);
    assert.equal(transport.destroyed, true);
  });
});

test('DATA that contradicts content-length is not handed on in part, whatever the pieces in which it comes', () => {
  for (const [flags, payload] of [
    [0, 'four'],
    [1, 'ab'],
  ] as const) {
    const transport = new FakeTransport();
    let body = '';
    const sink: RequestSink = {
      ...sinkOf(new Source(0)),
      requestHead() {},
      requestData: (_x, b, start, end) => {
        body += b.toString('latin1', start, end);
      },
    };
    const connection = new Http2Connection(transport, {
      side: 'server',
      timers: new TimerWheel(() => 0),
      isthmus: false,
      route: () => sink,
    });
    const length = Buffer.from('0f0d0133', 'hex');
    const head = frame(FrameType.headers, 4, 1, Buffer.concat([REQUEST, length]));
    const bytes = Buffer.concat([PREFACE, SETTINGS, head, frame(FrameType.data, flags, 1, payload)]);
    for (let at = 0; at < bytes.length; at++) connection.onData(bytes, at, at + 1);
    assert.equal(body, '');
    assert.deepEqual([connection.activeStreams, connection.bufferedBytes], [0, 0]);
  }
});

for (const [maker, wrap] of TRANSPORTS)
  describe(`HTTP/2 with another implementation, on ${maker}`, () => {
    test('as a server and as a client of Node: bodies, trailers, Huffman-coded heads', async () => {
      // MB of all bodies that wait in Node: with less it refuses streams, since it writes each body at once.
      const server = createHttp2Server({ maxSessionMemory: 64 });
      server.on('stream', (stream: ServerHttp2Stream, request: IncomingHttpHeaders) => {
        stream.respond(
          { ':status': 200, 'x-path': request[':path'] ?? '', 'x-long': 'v'.repeat(20_000) },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }));
        stream.end('b'.repeat(700_000));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const ready = Promise.withResolvers<Http2Connection>();
      const timers = new TimerWheel();
      connectPlain(
        { host: '127.0.0.1', port: (server.address() as AddressInfo).port, timeoutMs: 5_000, tcp: wrap.tcp },
        (_e, connection) => {
          assert.ok(connection !== undefined);
          const made: Http2Connection = new Http2Connection(wrap(connection), {
            side: 'client',
            timers,
            isthmus: false,
            onReady: () => ready.resolve(made),
          });
        },
      );
      const connection = await ready.promise;
      const clients = Array.from({ length: 20 }, (_, i) =>
        send(connection, get(`/${i}`, [[FieldId.other, 'X-Big', 'w'.repeat(20_000)]])),
      );
      await Promise.all(clients.map((c) => c.done));
      clients.forEach((c, i) => {
        assert.deepEqual(
          [c.status, c.length, c.fields[0], c.fields.at(-1)],
          [200, 700_000, `x-path=/${i}`, 'trailer yes'],
        );
      });
      connection.drain();
      server.close();

      const source = new Source(700_000);
      const listener = await listenHttp2(wrap, source);
      const session = connectHttp2(`http://127.0.0.1:${listener.port}`);
      const lengths = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          let n = 0;
          for await (const chunk of session.request({ ':path': `/${i}`, 'x-a': 'same' }))
            n += (chunk as Buffer).length;
          return n;
        }),
      );
      assert.deepEqual(
        lengths,
        Array.from({ length: 20 }, () => 700_000),
      );
      assert.equal(source.seen.filter((line) => line.startsWith('GET 127.0.0.1')).length, 20);
      session.destroy();
      listener.close();
    });
  });
