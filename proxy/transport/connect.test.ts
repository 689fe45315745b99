import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { CLOSED_PORT } from '../../test/testing/addresses.ts';
import { connectPlain, connectTls, type PlainConnectOptions } from './connect.ts';
import { handles, tcpWays } from '../testing/tcp-ways.ts';

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
function outcome(options: PlainConnectOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    connectPlain(options, (error, connection) => {
      connection?.destroy();
      resolve(error === undefined ? 'connected' : error.code);
    });
  });
}

/** The whole process stands still for so many ms. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

for (const [means, tcp] of tcpWays) {
  describe(`connecting by ${means}`, () => {
    test('a connection that stood before its time was over has not failed by a pause of the process', async (t) => {
      const port = await listening(t, (socket) => socket.destroy());
      const found = outcome({ host: HOST, port, timeoutMs: 5, tcp });
      // Behind the runtime's own: the system has been asked to connect by then.
      process.nextTick(standStill, 50);
      assert.equal(await found, 'connected');
    });

    test('a port that nobody listens on is refused', async () => {
      assert.equal(await outcome({ host: HOST, port: CLOSED_PORT, timeoutMs: 60_000, tcp }), 'ECONNREFUSED');
    });

    test('an address that is not ours is no source, and one of the other family is none that counts', async (t) => {
      const port = await listening(t, (socket) => socket.destroy());
      const from = (localAddress: string) => outcome({ host: HOST, port, localAddress, tcp });
      assert.equal(await from('203.0.113.1'), 'EADDRNOTAVAIL');
      assert.equal(await from('2001:db8::1'), 'connected');
    });

    test('the source is the address that was asked for', async (t) => {
      const seen = Promise.withResolvers<string | undefined>();
      const port = await listening(t, (socket) => seen.resolve(socket.remoteAddress));
      assert.equal(await outcome({ host: HOST, port, localAddress: '127.0.0.77', tcp }), 'connected');
      assert.equal(await seen.promise, '127.0.0.77');
    });

    test('an attempt that was cancelled tells nothing, and leaves nothing that would keep the process', async (t) => {
      const port = await listening(t, (socket) => socket.destroy());
      const cancel = connectPlain({ host: HOST, port, timeoutMs: 60_000, tcp }, () => assert.fail('told'));
      cancel();
      cancel();
      assert.equal(await outcome({ host: HOST, port, timeoutMs: 60_000, tcp }), 'connected');
    });

    test('IPv6', async (t) => {
      const server = createServer((socket) => socket.destroy());
      server.listen(0, '::1');
      const failed = once(server, 'error').then(([error]) => error as NodeJS.ErrnoException);
      const problem = await Promise.race([once(server, 'listening').then(() => undefined), failed]);
      if (problem !== undefined) return t.skip(`::1: ${problem.code}`);
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      assert.equal(await outcome({ host: '::1', port, localAddress: '::1', tcp }), 'connected');
    });
  });
}

test('what is no address is an error of the system, later than the call', async () => {
  let called = false;
  const failed = new Promise<string | undefined>((resolve) => {
    connectPlain({ host: '300.1.1.1', port: 1, timeoutMs: 60_000, tcp: handles }, (error) => {
      assert.ok(called);
      resolve(error?.code);
    });
  });
  called = true;
  assert.equal(await failed, 'EINVAL');
});

test('a handshake that nobody answers is given up when its time is over', async (t) => {
  const port = await listening(t, () => {});
  const code = await new Promise((resolve) => {
    connectTls({ host: HOST, port, timeoutMs: 5, tls: {} }, (error) => resolve(error?.code));
  });
  assert.equal(code, 'ETIMEDOUT');
});
