import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { alpn } from '../../../api/names.ts';
import type { WorkloadIdentity, WorkloadNames } from '../../../workload-identity/index.ts';
import { localIdentity } from '../../../workload-identity/testing/local-identity.ts';
import type { Made } from '../../../workload-identity/testing/test-ca.ts';
import type { Cleanups } from './api-server.ts';

/** A workload's identity below `anchor`, which it also trusts. */
export async function identityOf(
  cleanups: Cleanups,
  names: WorkloadNames,
  anchor: Made,
): Promise<WorkloadIdentity> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-check-'));
  cleanups.add(() => rm(dir, { recursive: true }));
  const identity = await localIdentity(names, anchor, [anchor], dir);
  cleanups.add(() => identity.stop());
  return identity;
}

/** A gateway as far as a probe sees it: mutual TLS, and 200 to every request. Answers its port. */
export async function startGateway(cleanups: Cleanups, identity: WorkloadIdentity): Promise<number> {
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const inner = await listen(cleanups, http2);
  const door = createServer((raw) => {
    const socket = new TLSSocket(raw, identity.serverOptions({ alpn: [alpn.isthmus] }) ?? {});
    socket.on('error', () => undefined);
    socket.once('secure', () => {
      if (identity.verifyPeer(socket) instanceof Error) {
        socket.destroy();
        return;
      }
      const plain = connect(inner, '127.0.0.1');
      plain.on('error', () => undefined);
      socket.pipe(plain).pipe(socket);
    });
  });
  return listen(cleanups, door);
}

async function listen(cleanups: Cleanups, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.add(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
