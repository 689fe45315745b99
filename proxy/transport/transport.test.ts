import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { makeCertificates } from '../testing/certificates.ts';
import type { TestCertificates } from '../testing/certificates.ts';
import { Recorder, recorder, transportPair } from '../testing/loopback.ts';
import { HIGH_WATER, SHARED_HIGH_WATER } from './base.ts';
import { chooseTransport, tryTransport } from './choose.ts';
import { handleWrap } from './handle-transport.ts';
import { wrapStream } from './stream-transport.ts';
import type { TcpBindings } from './tcp-bindings.ts';
import { socketOf } from './tcp-connection.ts';
import { callbackClock } from './turn.ts';
import type { Transport, Wrap } from './transport.ts';

const handles = handleWrap(wrapStream);
let certificates: TestCertificates;
before(async () => {
  certificates = await makeCertificates('peer.test');
});

/** Writes all of it, as fast as the other side takes it. */
function writeAll(transport: Transport, bytes: Buffer): void {
  let at = 0;
  const more = (): void => {
    while (at < bytes.length) {
      const next = Math.min(at + 50_000, bytes.length);
      const room = transport.write(bytes, at, next);
      at = next;
      if (!room) return;
    }
    transport.end();
  };
  const { handler } = transport;
  transport.handler = {
    onData: (b, s, e) => handler.onData(b, s, e),
    onDrain: more,
    onEnd: () => handler.onEnd(),
    onClose: () => handler.onClose(),
  };
  more();
}

const pattern = Buffer.alloc(3_000_000);
for (let i = 0; i < pattern.length; i++) pattern[i] = (i * 31 + (i >> 8)) & 255;

for (const [maker, wrap] of [
  ['socket handles', handles],
  ['public streams', wrapStream],
] as const) {
  for (const security of ['plain', 'tls'] as const) {
    describe(`transport on ${maker}, ${security}`, () => {
      const pair = () => {
        assert.ok(wrap !== undefined, 'this runtime has the socket-handle interface');
        return transportPair(wrap, security === 'tls' ? certificates : undefined);
      };

      test('carries bytes both ways at once, with back-pressure, and closes when both sides have ended', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        writeAll(client, pattern);
        writeAll(server, pattern);
        await Promise.all([a.until(() => a.closed), b.until(() => b.closed)]);
        assert.ok(a.bytes().equals(pattern) && b.bytes().equals(pattern));
        assert.ok(a.ended && b.ended);
      });

      test('a fault of a handler: the clock goes on, what was written leaves, and a pause holds until it is over', async (t) => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        const fault = Promise.withResolvers<boolean>();
        // Not through the process's event, of which the test runner hears as well.
        process.setUncaughtExceptionCaptureCallback(() => {
          const now = performance.now();
          fault.resolve(callbackClock() >= now);
        });
        t.after(() => {
          process.setUncaughtExceptionCaptureCallback(null);
          client.destroy();
          server.destroy();
        });
        server.handler = {
          onData() {
            callbackClock();
            server.handler = b;
            server.pause();
            server.write(Buffer.from('answer'), 0, 6);
            throw new Error('a fault');
          },
          onDrain() {},
          onEnd() {},
          onClose() {},
        };
        client.write(Buffer.from('question'), 0, 8);
        assert.equal(await fault.promise, true, 'the clock goes on');
        await a.until(() => a.length === 6);
        client.write(Buffer.from('more'), 0, 4);
        for (let turn = 0; turn < 20; turn++) await nextTurn();
        assert.equal(b.length, 0, 'the pause holds');
        server.resume();
        await b.until(() => b.length === 4);
      });

      test('faults of a handler: what is read behind them comes whole', async (t) => {
        const { client, server } = await pair();
        const b = recorder(server);
        let reads = 0;
        let faults = 0;
        process.setUncaughtExceptionCaptureCallback(() => void faults++);
        t.after(() => {
          process.setUncaughtExceptionCaptureCallback(null);
          client.destroy();
          server.destroy();
        });
        server.handler = {
          onData(buffer, start, end) {
            b.onData(buffer, start, end);
            if (++reads % 3 === 0) throw new Error('a fault');
          },
          onDrain() {},
          onEnd() {},
          onClose() {},
        };
        writeAll(client, pattern);
        await b.until(() => b.length === pattern.length);
        assert.ok(faults > 0);
        assert.ok(b.bytes().equals(pattern));
      });

      test('half-close: the other direction goes on', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        client.write(Buffer.from('question'), 0, 8);
        client.end();
        await b.until(() => b.ended);
        assert.equal(b.bytes().toString(), 'question');
        server.write(pattern, 0, 100_000);
        server.end();
        await a.until(() => a.closed);
        assert.ok(a.bytes().equals(pattern.subarray(0, 100_000)));
      });

      test('says no when the peer does not read, and drains when it does', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        server.pause();
        let total = 0;
        while (client.write(pattern, 0, 65_536)) total += 65_536;
        total += 65_536;
        const most = client.encrypted ? SHARED_HIGH_WATER : HIGH_WATER;
        assert.ok(client.pendingBytes <= most + 65_536 * 2, `pending ${client.pendingBytes}`);
        server.resume();
        await a.until(() => a.drains > 0);
        await b.until(() => b.length === total);
        client.destroy();
        await b.until(() => b.ended || b.closed);
        server.destroy();
      });

      test('an app or a client that the kernel takes no more for is full at once, not only at the mark', async () => {
        const { client, server } = await pair();
        recorder(client);
        const b = recorder(server);
        server.pause();
        const some = HIGH_WATER / 4 + 1;
        let total = 0;
        const send = (): boolean => {
          total += some;
          return client.write(pattern, 0, some);
        };
        while (client.pendingBytes === 0) {
          send();
          client.flush();
        }
        assert.equal(send(), client.encrypted);
        server.resume();
        await b.until(() => b.length === total);
        client.destroy();
        server.destroy();
      });

      test('writes of one turn leave together and in order, encoded in place or copied', async () => {
        const { client, server } = await pair();
        const b = recorder(server);
        client.eager = false;
        client.write(Buffer.from('..one '), 2, 6);
        const { buffer, offset } = client.reserve(4);
        buffer.write('two ', offset);
        client.commit(4);
        assert.equal(client.pendingBytes, 8);
        client.flush();
        client.write(Buffer.from('three'), 0, 5);
        await b.until(() => b.length === 13);
        assert.equal(b.bytes().toString(), 'one two three');
        client.destroy();
        server.destroy();
      });

      test('a reset is a close with a code, never an uncaught error; writing afterwards is harmless', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        server.write(pattern, 0, pattern.length);
        client.destroy();
        await Promise.all([a.until(() => a.closed), b.until(() => b.closed || b.ended)]);
        assert.equal(client.write(pattern, 0, 10), true);
        client.end();
        client.destroy();
        server.destroy();
        await b.until(() => b.closed);
      });

      for (const side of ['client', 'server'] as const)
        test(`a reset by the ${side} is no orderly end`, async () => {
          const { [side]: from, [side === 'client' ? 'server' : 'client']: to } = await pair();
          const [here, there] = [recorder(from), recorder(to)];
          from.write(pattern, 0, 10);
          // A reset that is read together with bytes is an end to the runtime.
          await there.until(() => there.length === 10);
          from.reset();
          await Promise.all([here.until(() => here.closed), there.until(() => there.closed || there.ended)]);
          assert.deepEqual([there.ended, to.errorCode], [false, 'ECONNRESET']);
        });

      test('a reset that a write meets before it is read is no orderly end', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        client.write(pattern, 0, 100);
        client.flush();
        await b.until(() => b.length === 100);
        server.reset();
        client.write(pattern, 0, 100);
        client.flush();
        await a.until(() => a.closed || a.ended);
        assert.deepEqual([a.ended, client.errorCode], [false, 'ECONNRESET']);
      });

      test('a reset that a write meets ends also who does not read', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        client.pause();
        client.write(pattern, 0, 100);
        client.flush();
        await b.until(() => b.length === 100);
        server.reset();
        client.write(pattern, 0, 100);
        client.flush();
        await a.until(() => a.closed);
        assert.deepEqual([a.ended, client.errorCode], [false, 'ECONNRESET']);
      });

      test('a reset behind an end loses nothing of what was sent before, and closes', async () => {
        const { client, server } = await pair();
        const [a, b] = [recorder(client), recorder(server)];
        server.pause();
        // The kernel takes that much, also where nobody reads.
        const length = 50_000;
        client.write(pattern, 0, length);
        client.end();
        while (client.pendingBytes > 0) await nextTurn();
        client.reset();
        server.resume();
        await Promise.all([a.until(() => a.closed), b.until(() => b.closed || b.ended)]);
        assert.deepEqual([b.length, b.ended], [length, true]);
        server.destroy();
      });

      test('bytes that came before the handler was set are handed over', async () => {
        const { client, server } = await pair();
        client.write(Buffer.from('hello'), 0, 5);
        const late = new Recorder();
        server.handler = late;
        await late.until(() => late.length === 5);
        client.destroy();
        server.destroy();
      });
    });
  }
}

test('who pauses in a read gets less by the next one, and all of it in the end', async () => {
  assert.ok(handles !== undefined);
  const { client, server } = await transportPair(handles);
  const a = recorder(client);
  const received: Buffer[] = [];
  const ended = Promise.withResolvers<void>();
  server.handler = {
    onData(buffer, start, end) {
      received.push(Buffer.from(buffer.subarray(start, end)));
      server.pause();
      setImmediate(() => server.resume());
    },
    onDrain() {},
    onEnd: () => ended.resolve(),
    onClose: () => ended.reject(new Error('closed')),
  };
  writeAll(client, pattern);
  await ended.promise;
  assert.ok(Buffer.concat(received).equals(pattern));
  const [, ...others] = received.map(({ length }) => length);
  assert.ok(Math.max(...others) <= 16 * 1024);
  server.end();
  await a.until(() => a.closed);
});

test('a pause that is over before the end of its read has no effect', async () => {
  assert.ok(handles !== undefined);
  const { client, server } = await transportPair(handles);
  const b = new (class extends Recorder {
    override onData(buffer: Buffer, start: number, end: number): void {
      server.pause();
      super.onData(buffer, start, end);
      server.resume();
    }
  })();
  server.handler = b;
  writeAll(client, pattern);
  await b.until(() => b.ended);
  assert.ok(b.bytes().equals(pattern));
  server.destroy();
  client.destroy();
});

test('the self-test chooses socket handles where they work, unless streams are asked for', async () => {
  const chosen = await chooseTransport();
  assert.equal(chosen.kind, 'handle');
  assert.equal(await chosen.tryTls(), undefined);
  const asked = await chooseTransport('streams');
  assert.equal(asked.kind, 'stream');
  assert.equal(await asked.tryTls(), undefined);
});

test('the self-test falls back to streams when handles are missing, throw or corrupt bytes', async () => {
  assert.ok(handles !== undefined);
  assert.equal((await tryTransport(undefined)).kind, 'stream');
  assert.equal((await tryTransport(() => assert.fail('broken'))).kind, 'stream');
  const corrupting = await tryTransport(corrupted(handles));
  assert.equal(corrupting.kind, 'stream');
  assert.match(corrupting.reason, /changed/);
});

/** What another version of Node might do below its sockets, and what the self-test then says. */
const brokenTcp: [name: string, change: (tcp: TcpBindings) => Partial<TcpBindings>, told: RegExp][] = [
  ['what listens cannot be made', () => ({ newServer: () => assert.fail('no server') }), /no server/],
  [
    'listening fails',
    ({ newServer }) => ({
      newServer: (accepted) => Object.assign(newServer(accepted), { listen: () => -22 }),
    }),
    /cannot listen.*EINVAL/,
  ],
  ['handles cannot be made', () => ({ newHandle: () => assert.fail('no handle') }), /no handle/],
  [
    'connecting fails',
    ({ newHandle }) => ({ newHandle: () => Object.assign(newHandle(), { connect: () => -22 }) }),
    /EINVAL/,
  ],
  [
    'what is accepted cannot become a socket',
    ({ newServer }) => ({
      newServer: (accepted) =>
        newServer((error, handle) => {
          const readStop = (): number => assert.fail('no socket of it');
          accepted(error, handle === undefined ? undefined : Object.assign(handle, { readStop }));
        }),
    }),
    /no socket of it/,
  ],
];
for (const [name, change, told] of brokenTcp) {
  test(`where ${name}, public streams take over`, async () => {
    assert.ok(handles?.tcp !== undefined);
    const candidate: Wrap = (connection) => handles(connection);
    const chosen = await tryTransport(
      Object.assign(candidate, { tcp: { ...handles.tcp, ...change(handles.tcp) } }),
    );
    assert.equal(chosen.kind, 'stream');
    assert.equal(chosen.wrap.tcp, undefined);
    assert.match(chosen.reason, told);
  });
}

/** Whether a wrap drives the socket's handle: what the handle calls is another function then. Destroys it. */
function takesOver(wrap: Wrap, socket: Socket): boolean {
  const { _handle: handle } = socket as unknown as { _handle: { onread: unknown } };
  const before = handle.onread;
  const transport = wrap(socket);
  const taken = handle.onread !== before;
  transport.destroy();
  return taken;
}

/** A connected pair of sockets, not wrapped yet. */
async function sockets(security: 'plain' | 'tls'): Promise<Socket[]> {
  const taken: Socket[] = [];
  await transportPair(
    (connection) => {
      const socket = socketOf(connection);
      taken.push(socket);
      return wrapStream(socket);
    },
    security === 'tls' ? certificates : undefined,
  );
  return taken;
}

test('TLS goes by streams until it is tested on handles', async () => {
  const chosen = await tryTransport(handles);
  const [early, late, plain] = [await sockets('tls'), await sockets('tls'), await sockets('plain')];
  for (const socket of early) assert.equal(takesOver(chosen.wrap, socket), false);
  for (const socket of plain) assert.equal(takesOver(chosen.wrap, socket), true);
  assert.equal(await chosen.tryTls(), undefined);
  for (const socket of late) assert.equal(takesOver(chosen.wrap, socket), true);
});

interface Insides {
  useUserBuffer(buffer: Buffer): void;
  writeBuffer(request: object, bytes: Uint8Array): number;
  onread: () => void;
}

/** What another version of Node might do below TLS, and what the self-test then says. */
const broken: [name: string, change: (handle: Insides) => void, told: RegExp][] = [
  ['bytes land elsewhere', (handle) => (handle.useUserBuffer = () => undefined), /./],
  [
    'a call throws',
    (handle) => {
      handle.useUserBuffer = () => {
        throw new TypeError('Illegal invocation');
      };
    },
    /Illegal invocation/,
  ],
  ['writes are refused', (handle) => (handle.writeBuffer = () => -22), /closed/],
  [
    'other bytes are written',
    (handle) => {
      const write = handle.writeBuffer.bind(handle);
      handle.writeBuffer = (request, bytes) => write(request, Buffer.alloc(bytes.length));
    },
    /changed/,
  ],
];
for (const [name, change, told] of broken) {
  test(`where below TLS ${name}, TLS stays on streams, and plain TCP on handles`, async () => {
    assert.ok(handles !== undefined);
    const chosen = await tryTransport((socket) => {
      if (socket instanceof TLSSocket) change((socket as unknown as { _handle: Insides })._handle);
      return handles(socket);
    });
    assert.equal(chosen.kind, 'handle');
    assert.match((await chosen.tryTls()) ?? '', told);
    for (const socket of await sockets('tls')) assert.equal(takesOver(chosen.wrap, socket), false);
    for (const socket of await sockets('plain')) assert.equal(takesOver(chosen.wrap, socket), true);
  });
}

/** Writes zeros in place of what it is given. */
function corrupted(wrap: Wrap): Wrap {
  return (socket) => {
    const transport = wrap(socket);
    const write = transport.write.bind(transport);
    transport.write = (_b, start, end) => write(Buffer.alloc(end), start, end);
    return transport;
  };
}
