import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { port } from '../../api/names.ts';
import { startPodApp, type PodApp } from './apps.ts';
import type { Look } from './part.ts';
import { Parts, type Part } from './parts.ts';

const H1 = 'web.shop:80';
const KIB = 1024;
/**
 * Bytes of heap and buffers that a connection of an app may hold, on average. Idle: its codec, with room for one head.
 * Stalled, with a megabyte on its way: besides a stream's window and the output of a transport, each 256 KiB at most;
 * without bounds it would be the whole megabyte on every hop.
 */
const IDLE_BYTES = 64 * KIB;
const STALLED_BYTES = 640 * KIB;
const IDLE = 200;
const STALLED = 60;

const held = ({ heap, external }: Look): number => heap + external;

describe('memory of connections is bounded', () => {
  let parts: Parts;
  let app: PodApp;
  let client: Part;
  let server: Part;

  before(async () => {
    parts = await Parts.create();
    server = await parts.start({ name: 'server' });
    app = await startPodApp(server.ip);
    client = await parts.start({ name: 'client', services: { [H1]: [server.endpoint(app.http1Port)] } });
    // What is made once is not a connection's.
    for (const socket of await open(20, '/')) socket.destroy();
  });
  after(async () => {
    await parts.close();
    app.close();
  });

  /** Connections that have asked, and whose answer has begun. */
  function open(n: number, path: string): Promise<Socket[]> {
    return Promise.all(
      Array.from({ length: n }, async () => {
        const socket = connect({ host: client.ip, port: port.outbound });
        socket.on('error', () => {});
        socket.write(`GET http://${H1}${path} HTTP/1.1\r\nHost: ${H1}\r\n\r\n`);
        await once(socket, 'data');
        socket.pause();
        return socket;
      }),
    );
  }

  /** What each of n connections adds, in the client's sidecar and in the server's. */
  async function perConnection(n: number, path: string): Promise<number[]> {
    const before = [await client.look(), await server.look()];
    const sockets = await open(n, path);
    const loaded = [await client.look(), await server.look()];
    for (const socket of sockets) socket.destroy();
    return loaded.map((look, i) => (held(look) - held(before[i] ?? look)) / n);
  }

  test(`idle: at most ${IDLE_BYTES / KIB} KiB`, async () => {
    for (const bytes of await perConnection(IDLE, '/')) assert.ok(bytes < IDLE_BYTES, `${bytes / KIB} KiB`);
  });

  test(`stalled: at most ${STALLED_BYTES / KIB} KiB`, async () => {
    for (const bytes of await perConnection(STALLED, '/big'))
      assert.ok(bytes < STALLED_BYTES, `${bytes / KIB} KiB`);
  });
});
