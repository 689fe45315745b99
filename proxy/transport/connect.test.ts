import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { CLOSED_PORT } from '../../test/testing/addresses.ts';
import { connectPlain, connectTls, type ConnectOptions } from './connect.ts';

const HOST = '127.0.0.1';

async function listening(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** The code of the error, or 'connected'. */
function outcome(options: ConnectOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    connectPlain(options, (error, socket: Socket | undefined) => {
      socket?.destroy();
      resolve(error === undefined ? 'connected' : error.code);
    });
  });
}

/** The whole process stands still for so many ms. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a connection that stood before its time was over has not failed by a pause of the process', async (t) => {
  const port = await listening(t, (socket) => socket.destroy());
  const found = outcome({ host: HOST, port, timeoutMs: 5 });
  // Behind the runtime's own: the system has been asked to connect by then.
  process.nextTick(standStill, 50);
  assert.equal(await found, 'connected');
});

test('a port that nobody listens on is refused', async () => {
  assert.equal(await outcome({ host: HOST, port: CLOSED_PORT, timeoutMs: 60_000 }), 'ECONNREFUSED');
});

test('a handshake that nobody answers is given up when its time is over', async (t) => {
  const port = await listening(t, () => {});
  const code = await new Promise((resolve) => {
    connectTls({ host: HOST, port, timeoutMs: 5, tls: {} }, (error) => resolve(error?.code));
  });
  assert.equal(code, 'ETIMEDOUT');
});
