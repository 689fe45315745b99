import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { causes } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import type { RequestSink } from '../message/message.ts';
import { setSpan } from '../bytes/span.ts';
import { http2Pair } from '../testing/http2-pair.ts';
import { listenLoopback, listenTransports } from '../testing/loopback.ts';
import { TRANSPORTS } from '../testing/transports.ts';
import { WaitingSink } from '../testing/waiting-sink.ts';
import { connectPlain } from './connect.ts';
import { OpaqueClientConnection, OpaqueServerConnection } from './opaque.ts';
import { TimerWheel } from './timers.ts';
import type { Wrap } from './transport.ts';

const NO_BYTES = Buffer.alloc(0);

function connectHead(): Head {
  const head = new Head();
  setSpan(head.method, 'CONNECT');
  setSpan(head.authority, 'db.test:5432');
  const name = Buffer.from(':isthmus-protocol');
  const value = Buffer.from('tcp');
  head.add(FieldId.isthmusProtocol, name, 0, name.length, value, 0, value.length);
  return head;
}

/** client -> opaque -> isthmus/1 stream -> opaque -> server; the port to connect to. */
async function tunnel(wrap: Wrap, onServer: (socket: Socket) => void) {
  const app = await listenLoopback(onServer);
  const route = (): RequestSink => {
    const waiting = new WaitingSink();
    connectPlain(
      { host: app.host, port: app.port, timeoutMs: 5_000, tcp: wrap.tcp },
      (_error, connection) => {
        if (connection === undefined) waiting.fail(causes.connectFailed);
        else waiting.open(new OpaqueClientConnection(wrap(connection)));
      },
    );
    return waiting;
  };
  const pair = await http2Pair(wrap, new TimerWheel(), route);
  const listener = await listenTransports(wrap, (transport) => {
    new OpaqueServerConnection(transport, () => pair.client).start(connectHead(), NO_BYTES);
  });
  const close = (): void => {
    listener.close();
    app.close();
    pair.client.destroy();
  };
  return { port: listener.port, app, close };
}

/** Reads a socket to its end, and leaves it open for writing. */
function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => resolve(Buffer.concat(chunks)));
    socket.once('error', reject);
    socket.resume();
  });
}

for (const [maker, wrap] of TRANSPORTS)
  describe(`opaque TCP as a stream, on ${maker}`, () => {
    test('bytes both ways; the client half-closes first and still gets its answer', async () => {
      const t = await tunnel(wrap, (socket) => {
        readAll(socket).then(
          (got) => socket.end(`${got.length}`),
          () => socket.destroy(),
        );
      });
      const client = connect({ host: '127.0.0.1', port: t.port, allowHalfOpen: true });
      client.end(Buffer.alloc(2_000_000, 1));
      assert.equal((await readAll(client)).toString(), '2000000');
      t.close();
    });

    test('the server speaks first and half-closes; the client still sends', async () => {
      const got = Promise.withResolvers<number>();
      const t = await tunnel(wrap, (socket) => {
        socket.end(Buffer.alloc(1_000_000, 2));
        readAll(socket).then((bytes) => got.resolve(bytes.length), got.reject);
      });
      const client = connect({ host: '127.0.0.1', port: t.port, allowHalfOpen: true });
      assert.equal((await readAll(client)).length, 1_000_000);
      client.end(Buffer.alloc(1_500_000, 3));
      assert.equal(await got.promise, 1_500_000);
      t.close();
    });

    test('a reset passes as a reset, both ways, and so does a server that is not there', async () => {
      const atServer = Promise.withResolvers<string | undefined>();
      const t = await tunnel(wrap, (socket) => {
        socket.resume();
        socket.once('error', (error: NodeJS.ErrnoException) => atServer.resolve(error.code));
        socket.once('end', () => atServer.resolve('an orderly end'));
        socket.once('data', (data: Buffer) => {
          if (data.toString() === 'reset me') socket.resetAndDestroy();
        });
        socket.write('hello');
      });
      const vanishing = connect({ host: '127.0.0.1', port: t.port });
      vanishing.once('data', () => vanishing.resetAndDestroy());
      assert.equal(await atServer.promise, 'ECONNRESET');
      const cut = connect({ host: '127.0.0.1', port: t.port });
      cut.write('reset me');
      assert.equal(await howItEnds(cut), 'ECONNRESET');
      t.app.close();
      assert.equal(await howItEnds(connect({ host: '127.0.0.1', port: t.port })), 'ECONNRESET');
      t.close();
    });
  });

/** The code of a socket's error, or that there was none. */
function howItEnds(socket: Socket): Promise<string | undefined> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('end', () => resolve('an orderly end'));
  });
}
