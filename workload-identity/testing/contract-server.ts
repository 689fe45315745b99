import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { CertifyResponseSchema } from '../../api/proto/gen/linkerd/identity_pb.js';
import { methods } from '../../api/proto/methods.ts';
import { GrpcError } from '../grpc-error.ts';
import { encodeFrame } from '../grpc-frames.ts';
import type { Channel, ChannelOptions } from '../grpc-types.ts';
import { makeAnchor, makeIssuer, makeLeaf, privateKeyPem, workload } from './test-ca.ts';

/** Whom the servers of the channels' contract are trusted by. */
export const anchor = await makeAnchor();
export const issuer = await makeIssuer(anchor, 'east');
const serverLeaf = await makeLeaf(issuer, workload('server'));
const serverKey = await privateKeyPem(serverLeaf);

/** Undoes what a test has begun; run after each. */
export const cleanups: (() => unknown)[] = [];

/** Makes a channel of the engine under test to a port of the loopback. */
export type ChannelTo = (port: number, options?: Partial<ChannelOptions>) => Channel;

/** The answer to Certify, as one message of gRPC. */
export const answer = encodeFrame(
  toBinary(CertifyResponseSchema, create(CertifyResponseSchema, { leafCertificate: Buffer.from('leaf') })),
);
export const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

/** Ends a stream with a status in trailers. */
export function respond(stream: ServerHttp2Stream, body: Buffer, trailers: Record<string, string>): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

/** A server that answers each call as the test says, in raw HTTP/2. */
export async function rawServer(
  handler: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
): Promise<{ port: number; goaway: () => void; sessions: () => number; connected: Promise<unknown> }> {
  const server = createSecureServer({ key: serverKey, cert: serverLeaf.pem + issuer.pem });
  let sessions = 0;
  const open = new Set<ServerHttp2Session>();
  const connected = once(server, 'session');
  server.on('session', (session) => {
    sessions++;
    open.add(session);
    session.once('close', () => open.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    handler(stream, headers);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const session of open) session.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    goaway: () => open.forEach((session) => session.close()),
    sessions: () => sessions,
    connected,
  };
}

/** Bytes of a client's preface, and of a frame's head. */
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const HEADERS_FRAME = 1;

/** A frame of HTTP/2. */
function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

/** Whether the head of a request is among what a client has sent. */
function hasRequest(sent: Buffer): boolean {
  for (let at = PREFACE_BYTES; at + FRAME_HEAD_BYTES <= sent.length;) {
    if (sent[at + 3] === HEADERS_FRAME) return true;
    at += FRAME_HEAD_BYTES + sent.readUIntBE(at, 3);
  }
  return false;
}

/** A server that says nothing, not even its SETTINGS, before it has a request; then it answers. */
export async function silentServer(): Promise<number> {
  const field = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.of(0, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]);
  const status200 = Buffer.of(0x88);
  const answered = [
    frame(4, 0, 0, Buffer.alloc(0)),
    frame(HEADERS_FRAME, 4, 1, Buffer.concat([status200, field('content-type', 'application/grpc')])),
    frame(0, 0, 1, answer),
    frame(HEADERS_FRAME, 5, 1, field('grpc-status', '0')),
  ];
  return tlsServer(['h2'], (socket) => {
    cleanups.push(() => socket.destroy());
    let sent = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      const before = hasRequest(sent);
      sent = Buffer.concat([sent, bytes]);
      if (!before && hasRequest(sent)) socket.write(Buffer.concat(answered));
    });
  });
}

/** A server of TLS alone, which takes the protocols of ALPN that are named. Answers its port. */
export async function tlsServer(
  ALPNProtocols: string[],
  handler: (socket: TLSSocket) => void,
): Promise<number> {
  const options = { key: serverKey, cert: serverLeaf.pem + issuer.pem, ALPNProtocols };
  const server = createTlsServer(options, (socket) => {
    socket.on('error', () => {});
    handler(socket);
  });
  cleanups.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Calls Certify. */
export function certify(
  channel: Channel,
  options: { deadlineMs?: number; metadata?: Record<string, string> } = {},
) {
  return channel.unary(methods.certify, { identity: 'web' }, options);
}

/** For `assert.rejects`: a GrpcError with that code, and a message like that. */
export function refusedWith(code: number, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof GrpcError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.details, message);
    return true;
  };
}
