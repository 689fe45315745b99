import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestMesh } from './test-mesh.ts';

/** One end of a connection, read byte by byte. */
export interface Wire {
  readonly socket: Socket;
  /** Resolves with all that has come since the last call, as soon as `text` ends it. Rejects when the connection ends before. */
  until(text: string): Promise<string>;
  /** Resolves with all that comes until the other end has ended its side; rejects when the connection breaks. */
  rest(): Promise<string>;
}

function wire(socket: Socket): Wire {
  let bytes = '';
  let state: 'open' | 'ended' | 'broken' = 'open';
  let look = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.toString('latin1');
    look();
  });
  socket.on('end', () => {
    state = 'ended';
    look();
  });
  socket.on('error', () => {
    state = 'broken';
    look();
  });
  const wait = (done: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      look = () => {
        const isDone = done();
        if (!isDone && state === 'open') return;
        look = () => {};
        const all = bytes;
        bytes = '';
        if (isDone) resolve(all);
        else reject(new Error(`the connection is ${state} after ${JSON.stringify(all)}`));
      };
      look();
    });
  return {
    socket,
    until: (text) => wait(() => bytes.endsWith(text)),
    rest: () => wait(() => state === 'ended'),
  };
}

/** Connects, half-open allowed. Closed with the mesh. */
export async function dialWire(mesh: TestMesh, host: string, port: number): Promise<Wire> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const made = wire(socket);
  await once(socket, 'connect');
  mesh.onClose(() => void socket.destroy());
  return made;
}

/** An app whose connections are served byte by byte. Closed with the mesh. */
export async function startWireApp(
  mesh: TestMesh,
  ip: string,
  serve: (wire: Wire) => Promise<void> | void,
): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    mesh.onClose(() => void socket.destroy());
    // What a test has not asked for is its own to notice.
    void Promise.resolve(serve(wire(socket))).catch(() => socket.destroy());
  });
  server.listen(0, ip);
  await once(server, 'listening');
  mesh.onClose(() => void server.close());
  return (server.address() as AddressInfo).port;
}
