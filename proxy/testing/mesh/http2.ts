import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { port } from '../../../api/names.ts';
import type { TestMesh } from './test-mesh.ts';

/** An app of a test that speaks HTTP/2 with prior knowledge. */
export interface Http2App {
  readonly port: number;
  readonly server: Http2Server;
  readonly sessions: Set<ServerHttp2Session>;
}

/** Starts an app that serves streams by `listener`; closed with the mesh. */
export async function startHttp2App(
  mesh: TestMesh,
  ip: string,
  listener: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Promise<Http2App> {
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    // Clients go away; the test looks at what came.
    stream.on('error', () => {});
    listener(stream as ServerHttp2Stream, headers);
  });
  server.listen(0, ip);
  await once(server, 'listening');
  mesh.onClose(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, sessions };
}

/** A connection to the sidecar at `ip` in which a CONNECT to `authority` stands. */
export async function tunnelTo(ip: string, authority: string): Promise<Socket> {
  const socket = connect({ host: ip, port: port.outbound, allowHalfOpen: true });
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString().startsWith('HTTP/1.1 200 ')) throw new Error(`CONNECT: ${answer.toString()}`);
  return socket;
}

/** HTTP/2 of an app: inside a CONNECT to `authority`, or straight to the sidecar, which then goes by the `:authority` of each request. */
export async function http2Through(
  mesh: TestMesh,
  ip: string,
  authority?: string,
): Promise<ClientHttp2Session> {
  const session =
    authority === undefined
      ? connectHttp2(`http://${ip}:${port.outbound}`)
      : await tunnelTo(ip, authority).then((socket) =>
          connectHttp2(`http://${authority}`, { createConnection: () => socket }),
        );
  session.on('error', () => {});
  mesh.onClose(() => session.destroy());
  return session;
}
