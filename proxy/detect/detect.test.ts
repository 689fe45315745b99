import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { DETECT_LIMIT, Detector, detectSocket } from './detect.ts';
import type { Protocol } from './detect.ts';
import { listenLoopback, recorder } from '../testing/loopback.ts';
import { Recorder } from '../testing/loopback.ts';
import { piecesOf } from '../testing/pieces.ts';
import { handleWrap } from '../transport/handle-transport.ts';
import { wrapStream } from '../transport/stream-transport.ts';
import { TimerWheel } from '../transport/timers.ts';

/** A real ClientHello, as Node sends it. */
async function clientHello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const got = Promise.withResolvers<Buffer>();
  const listener = await listenLoopback((socket) => {
    socket.once('data', (chunk: Buffer) => {
      got.resolve(chunk);
      socket.destroy();
    });
    socket.resume();
  });
  const client = connectTls({ host: '127.0.0.1', port: listener.port, ...options });
  client.on('error', () => undefined);
  const bytes = await got.promise;
  listener.close();
  return bytes;
}

function decide(bytes: Buffer, ...splits: number[]): Protocol | undefined {
  const detector = new Detector();
  for (const [from, to] of piecesOf(bytes, splits)) {
    const found = detector.push(bytes, from, to);
    if (found !== undefined) return found;
  }
  return undefined;
}

const opaque = { kind: 'opaque', reason: 'bytes' };

describe('protocol detection', () => {
  for (const [bytes, expected] of [
    ['GET / HTTP/1.1\r\nHost: a\r\n', { kind: 'http1' }],
    ['M-SEARCH * HTTP/1.0\n', { kind: 'http1' }],
    ['\r\nPOST /a?b HTTP/1.1\r\n', { kind: 'http1' }],
    ['GET / HTTP/1.\r\r\n', { kind: 'opaque', reason: 'bytes' }],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', { kind: 'http2' }],
    ['PROPFIND / HTTP/1.1\r\n', { kind: 'http1' }],
    ['PRI * HTTP/2.0\r\n\r\nXX', opaque],
    ['GET /\r\n', opaque],
    ['HELO mail\r\n', opaque],
    ['\0\0\0\u0008', opaque],
    ['SSH-2.0-OpenSSH\r\n', opaque],
    ['*1\r\n$4\r\nPING\r\n', opaque],
    ['averyveryverylongwordwithoutanyspace', opaque],
    [`${'M'.repeat(24)} / HTTP/1.1\r\n`, { kind: 'http1' }],
    [`${'M'.repeat(25)} / HTTP/1.1\r\n`, opaque],
    ['\x16\x03\x01\x00\x05\x02aaaa', opaque],
    // RFC 8446 section 5.1: a record has up to 2^14 bytes.
    ['\x16\x03\x01\x40\x00', undefined],
    ['\x16\x03\x01\x40\x01', opaque],
    ['\x16\x02\x01\x00\x05', opaque],
    ['GE', undefined],
    ['GET /aaa', undefined],
    ['PRI * HT', undefined],
    ['\x16\x03', undefined],
  ] as const) {
    test(`${JSON.stringify(bytes)} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(decide(Buffer.from(bytes, 'latin1')), expected);
    });
  }

  test('a ClientHello tells SNI and ALPN, at every split and over several records', async () => {
    const hello = await clientHello({ servername: 'web.shop.test', ALPNProtocols: ['isthmus/1', 'h2'] });
    const expected = { kind: 'tls', serverName: 'web.shop.test', alpn: ['isthmus/1', 'h2'] };
    for (let at = 0; at <= hello.length; at++) assert.deepEqual(decide(hello, at), expected);
    const body = hello.subarray(5);
    const record = (part: Buffer) =>
      Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]);
    for (const at of [1, 3, 4, 40, 300]) {
      const spread = Buffer.concat([record(body.subarray(0, at)), record(body.subarray(at))]);
      assert.deepEqual(decide(spread, 2, at + 5), expected);
    }
    assert.deepEqual(decide(await clientHello({})), { kind: 'tls', serverName: '', alpn: [] });
  });

  test('the pieces do not matter, and nothing throws', async () => {
    const hello = await clientHello({ servername: 'a.test' });
    const start = fc.constantFrom(
      'GET / HTTP/1.1\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'EHLO\r\n',
      '\x16\x03\x01',
      'CONNECT a:1 HTTP/1.1\r\n',
    );
    fc.assert(
      fc.property(start, fc.uint8Array(), fc.array(fc.nat(), { maxLength: 4 }), (text, rest, splits) => {
        const bytes = Buffer.concat([Buffer.from(text, 'latin1'), rest]);
        assert.deepEqual(decide(bytes, ...splits), decide(bytes));
      }),
    );
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, byte) => {
        const broken = Buffer.from(hello);
        broken[at] = byte;
        decide(broken);
      }),
    );
  });

  test('gives up at its limit', () => {
    const detector = new Detector(100);
    const path = Buffer.from(`GET /${'a'.repeat(200)}`);
    assert.deepEqual(detector.push(path, 0, path.length), { kind: 'opaque', reason: 'limit' });
  });

  test('a request line may be as long as the limit', () => {
    const line = Buffer.from(`GET /${'a'.repeat(DETECT_LIMIT)}`);
    const detector = new Detector();
    assert.equal(detector.push(line, 0, DETECT_LIMIT - 1), undefined);
    assert.deepEqual(detector.push(line, DETECT_LIMIT - 1, DETECT_LIMIT), {
      kind: 'opaque',
      reason: 'limit',
    });
  });
});

describe('detection on a socket', () => {
  const wraps = [wrapStream, handleWrap(wrapStream) ?? wrapStream];

  /** What is detected on a connection whose client does `act`, and the server's socket. */
  async function onSocket(act: (client: Socket) => void, timers: TimerWheel) {
    const got = Promise.withResolvers<{ protocol: Protocol | undefined; rest: Buffer; socket: Socket }>();
    const accepted = Promise.withResolvers<void>();
    const listener = await listenLoopback((socket) => {
      detectSocket(socket, { timers, timeoutMs: 1000 }, (protocol, rest) =>
        got.resolve({ protocol, rest, socket }),
      );
      accepted.resolve();
    });
    const client = connect({ host: '127.0.0.1', port: listener.port, allowHalfOpen: true });
    client.on('error', () => undefined);
    act(client);
    await accepted.promise;
    listener.close();
    return { client, got: got.promise };
  }

  for (const wrap of wraps) {
    test(`the bytes are there for who takes the socket over (${wrap.name})`, async () => {
      const { client, got } = await onSocket(
        (c) => c.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
        new TimerWheel(),
      );
      const taken = await got.then(({ protocol, socket }) => {
        assert.deepEqual(protocol, { kind: 'http1' });
        const transport = wrap(socket);
        transport.handler = new Recorder();
        return transport;
      });
      const r = recorder(taken);
      await r.until(() => r.ended);
      assert.equal(r.bytes().toString(), 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      taken.destroy();
      client.destroy();
    });
  }

  test('silence is opaque after the time limit', async () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const { client, got } = await onSocket(() => undefined, timers);
    now = 2000;
    timers.tick();
    assert.deepEqual((await got).protocol, { kind: 'opaque', reason: 'timeout' });
    client.destroy();
  });

  test('a client that ends undecided leaves its bytes; one that goes away leaves nothing', async () => {
    const ended = await onSocket((c) => c.end('QUI'), new TimerWheel());
    const { protocol, rest } = await ended.got;
    assert.deepEqual([protocol, rest.toString()], [{ kind: 'opaque', reason: 'end' }, 'QUI']);
    ended.client.destroy();
    const gone = await onSocket((c) => c.once('connect', () => c.resetAndDestroy()), new TimerWheel());
    assert.equal((await gone.got).protocol, undefined);
  });
});
