import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { listen, type Listener, type ListenOptions } from './listen.ts';
import { handles, tcpWays } from '../testing/tcp-ways.ts';
import type { Accepted, TcpBindings, TcpServerHandle } from './tcp-bindings.ts';
import { socketOf, TcpConnection, type Connection } from './tcp-connection.ts';

const HOST = '127.0.0.1';

/** By default on any port of `HOST`. */
async function listening(
  t: TestContext,
  options: Partial<ListenOptions> & Pick<ListenOptions, 'onConnection'>,
): Promise<Listener> {
  const listener = await new Promise<Listener>((resolve, reject) => {
    listen({ host: HOST, port: 0, ...options }, (error, made) =>
      made === undefined ? reject(error) : resolve(made),
    );
  });
  t.after(() => listener.close());
  return listener;
}

/** A client, connected. */
async function clientOf({ port }: Listener, t: TestContext): Promise<Socket> {
  const socket = connect({ host: HOST, port, allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Reads to the end, and leaves the socket open for writing. */
async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket.resume(), 'end');
  return String(Buffer.concat(chunks));
}

for (const [means, tcp] of tcpWays) {
  describe(`listening, and accepting by ${means}`, () => {
    /** A listener, and what it accepts, in order. */
    async function accepting(
      t: TestContext,
      limit: Pick<ListenOptions, 'maxConnections' | 'onDropped'> = {},
    ) {
      const waiting: ((connection: Connection) => void)[] = [];
      const came: Connection[] = [];
      const onConnection = (connection: Connection): void => {
        t.after(() => connection.destroy());
        const taker = waiting.shift();
        if (taker === undefined) came.push(connection);
        else taker(connection);
      };
      const listener = await listening(t, { tcp, onConnection, ...limit });
      const next = (): Promise<Connection> =>
        new Promise((resolve) => {
          const connection = came.shift();
          if (connection === undefined) waiting.push(resolve);
          else resolve(connection);
        });
      return { listener, next };
    }

    test('tells both ends, also of one that has been closed', async (t) => {
      const { listener, next } = await accepting(t);
      const client = await clientOf(listener, t);
      const accepted = await next();
      assert.equal(accepted instanceof TcpConnection, tcp !== undefined);
      assert.equal(accepted.localFamily, 'IPv4');
      assert.deepEqual([accepted.remoteAddress, accepted.remotePort], [HOST, client.localPort]);
      accepted.destroy();
      assert.deepEqual([accepted.remoteAddress, accepted.remotePort], [HOST, client.localPort]);
    });

    test('holds its limit, and counts anew when one has gone, also one that has become a socket', async (t) => {
      let dropped = Promise.withResolvers<void>();
      const { listener, next } = await accepting(t, {
        maxConnections: 2,
        onDropped: () => dropped.resolve(),
      });
      for (const leave of [
        (connection: Connection) => connection.destroy(),
        (connection: Connection) => socketOf(connection).destroy(),
      ]) {
        const clients = [await clientOf(listener, t), await clientOf(listener, t)];
        const accepted = [await next(), await next()];
        dropped = Promise.withResolvers<void>();
        const refused = await clientOf(listener, t);
        await dropped.promise;
        await once(refused.resume(), 'end');
        for (const [i, connection] of accepted.entries()) {
          const gone = once(clients[i]!.resume(), 'end');
          leave(connection);
          await gone;
        }
      }
    });

    test('stops accepting; what stands goes on', async (t) => {
      const { listener, next } = await accepting(t);
      const client = await clientOf(listener, t);
      const socket = socketOf(await next());
      listener.close();
      const late = connect({ host: HOST, port: listener.port });
      const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNREFUSED');
      client.end('still here');
      assert.equal(await readAll(socket), 'still here');
      socket.end('and answered');
      assert.equal(await readAll(client), 'and answered');
    });

    test('a port that is taken, and an address that nobody has, are told with their reason', async (t) => {
      const { listener } = await accepting(t);
      for (const [host, port, code] of [
        [HOST, listener.port, 'EADDRINUSE'],
        ['192.0.2.1', 0, 'EADDRNOTAVAIL'],
      ] as const) {
        await assert.rejects(listening(t, { tcp, host, port, onConnection() {} }), (error: Error) => {
          assert.match(error.message, new RegExp(`^cannot listen on ${host}:${port}: .*${code}`));
          assert.equal((error.cause as NodeJS.ErrnoException).code, code);
          return true;
        });
      }
    });

    test('takes a family alone, and both where that is asked for', async (t) => {
      const families = async (options: Partial<ListenOptions>): Promise<(string | undefined)[]> => {
        const came: (string | undefined)[] = [];
        let next = Promise.withResolvers<void>();
        const { port } = await listening(t, {
          tcp,
          ...options,
          onConnection(connection) {
            came.push(connection.remoteAddress);
            connection.destroy();
            next.resolve();
          },
        });
        for (const host of ['127.0.0.1', '::1']) {
          const client = connect({ host, port });
          client.once('error', () => next.resolve());
          await next.promise;
          client.destroy();
          next = Promise.withResolvers();
        }
        return came;
      };
      assert.deepEqual(await families({ host: '::' }), ['::1']);
      assert.deepEqual(await families({ host: '0.0.0.0' }), ['127.0.0.1']);
      assert.deepEqual(await families({ host: '::', bothFamilies: true }), ['::ffff:127.0.0.1', '::1']);
    });

    test('a socket that is made of it reads what came before', async (t) => {
      const { listener, next } = await accepting(t);
      const client = await clientOf(listener, t);
      client.write('early');
      const socket = socketOf(await next());
      const [bytes] = (await once(socket.resume(), 'data')) as [Buffer];
      assert.equal(bytes.toString(), 'early');
      // An error that nobody listens for would end the process.
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      client.resetAndDestroy();
      await closed;
    });
  });
}

describe('listening by handles', () => {
  /** The bindings, with other servers. */
  const withServers = (change: (accepted: Accepted) => TcpServerHandle): TcpBindings => ({
    ...handles,
    newServer: change,
  });

  test('goes on after an accept that failed', async (t) => {
    let fails = true;
    const tcp = withServers((accepted) =>
      handles.newServer((error, handle) => {
        if (!fails) return accepted(error, handle);
        fails = false;
        handle?.close();
        accepted(-24, undefined);
      }),
    );
    const came = Promise.withResolvers<Connection>();
    const listener = await listening(t, { tcp, onConnection: (connection) => came.resolve(connection) });
    const lost = await clientOf(listener, t);
    await once(lost.resume(), 'end');
    await clientOf(listener, t);
    (await came.promise).destroy();
  });

  test('of both families takes IPv4 where there is no IPv6', async (t) => {
    const tcp = withServers((accepted) => Object.assign(handles.newServer(accepted), { bind6: () => -97 }));
    const listener = await listening(t, { tcp, host: '::', bothFamilies: true, onConnection() {} });
    assert.equal(listener.host, '0.0.0.0');
    await clientOf(listener, t);
  });
});
