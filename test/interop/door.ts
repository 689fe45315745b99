import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { port } from '../../api/names.ts';
import type { TestMesh, TestPod } from '../../proxy/testing/mesh/test-mesh.ts';
import { freshAddress } from '../testing/addresses.ts';

const DOOR_PORT = 8080;

/** An address that leads to a sidecar's outbound port. */
export interface Door {
  readonly host: string;
  readonly port: number;
  /** What a client says that it asks, and so the name of the Service. */
  readonly authority: string;
}

/** For clients that ask for what they connect to: a sidecar's own port is no Service. */
export async function openDoor(mesh: TestMesh, pod: TestPod): Promise<Door> {
  const host = freshAddress();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host: pod.ip, port: port.outbound, allowHalfOpen: true, noDelay: true });
    join(near, far, sockets);
    join(far, near, sockets);
  });
  server.listen(DOOR_PORT, host);
  await once(server, 'listening');
  mesh.onClose(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { host, port: DOOR_PORT, authority: `${host}:${DOOR_PORT}` };
}

function join(from: Socket, to: Socket, all: Set<Socket>): void {
  all.add(from);
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => {
    all.delete(from);
    to.destroy();
  });
}
