import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

/** Bytes of `/big`: more than a stream's windows on the way hold. */
const BIG = Buffer.alloc(1024 * 1024, 'big');
const SMALL = 'the answer';
/**
 * MB that Node's server lets wait on a connection, before it rejects every stream, and after a hundred the connection.
 * Without end: what was given up goes on counting, so that an app whose clients give up a megabyte each would reject
 * after a thousand of them.
 */
const SESSION_MB = 1_000_000;

/** An app that answers everything, on a pod's address. */
export interface PodApp {
  readonly http1Port: number;
  readonly http2Port: number;
  /** Ends as servers do in good order: it listens no more, and closes connections when nothing is under way on them, those of HTTP/2 behind a GOAWAY. */
  leave(): void;
  /** Closes connections of HTTP/1.1 that nobody asks on. */
  closeIdle(): void;
  close(): void;
}

/**
 * Starts one that speaks HTTP/1.1 on one port, HTTP/2 on another. `/big` is answered with megabytes; gRPC with its
 * status; Upgrade is granted, and sends back.
 */
export async function startPodApp(ip: string): Promise<PodApp> {
  const http1 = createServer((incoming, response) => {
    incoming.resume();
    incoming.on('end', () => response.end(incoming.url === '/big' ? BIG : SMALL));
  });
  http1.on('upgrade', (_incoming, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  const http2 = createHttp2Server({ maxSessionMemory: SESSION_MB });
  http2.on('stream', answerStream);
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  http1.keepAliveTimeout = 0;
  http1.listen(0, ip);
  http2.listen(0, ip);
  await Promise.all([once(http1, 'listening'), once(http2, 'listening')]);
  return {
    http1Port: (http1.address() as AddressInfo).port,
    http2Port: (http2.address() as AddressInfo).port,
    leave() {
      http1.close();
      http2.close();
      for (const session of sessions) session.close();
    },
    closeIdle() {
      http1.closeIdleConnections();
    },
    close() {
      http1.close();
      http1.closeAllConnections();
      http2.close();
    },
  };
}

function answerStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  // Clients give up: that is part of the load.
  stream.on('error', () => stream.destroy());
  stream.resume();
  stream.on('end', () => {
    if (stream.destroyed || stream.closed) return;
    const isGrpc = headers['content-type'] === 'application/grpc';
    if (isGrpc) stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond({ ':status': 200 }, { waitForTrailers: isGrpc });
    stream.end(headers[':path'] === '/big' ? BIG : SMALL);
  });
}
