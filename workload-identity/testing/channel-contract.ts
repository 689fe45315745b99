import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { TrustBundleAckSchema, TrustBundleSchema } from '../../api/proto/gen/isthmus/control_pb.js';
import { CertifyResponseSchema } from '../../api/proto/gen/linkerd/identity_pb.js';
import { methods } from '../../api/proto/methods.ts';
import { silentLog } from '../../log/index.ts';
import { type Clock, systemClock } from '../clock.ts';
import { createChannel } from '../grpc-client.ts';
import { GrpcError, grpcStatus } from '../grpc-error.ts';
import { encodeFrame } from '../grpc-frames.ts';
import type { Channel, ChannelOptions } from '../grpc-types.ts';
import type { Http2Connect } from '../http2.ts';
import type { Logger } from '../types.ts';
import { FakeControlPlane } from './fake-control-plane.ts';
import { ManualClock } from './manual-clock.ts';
import { makeAnchor, makeIssuer, makeLeaf, privateKeyPem, workload } from './test-ca.ts';

/** An HTTP/2 engine under test. */
export interface Engine {
  readonly connect: Http2Connect;
  /** An engine whose time is in the test's hands. */
  readonly timed: () => {
    readonly connect: Http2Connect;
    readonly clock: Clock;
    /** So much time passes within one turn of the event loop that a peer which is silent meanwhile is dropped. */
    readonly pass: () => void;
  };
}

const anchor = await makeAnchor();
const issuer = await makeIssuer(anchor, 'east');
const web = workload('web');
const serverLeaf = await makeLeaf(issuer, workload('server'));
const serverKey = await privateKeyPem(serverLeaf);

const cleanups: (() => unknown)[] = [];

/** A server that answers each call as the test says, in raw HTTP/2. */
async function rawServer(
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
async function silentServer(): Promise<number> {
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
  const options = { key: serverKey, cert: serverLeaf.pem + issuer.pem, ALPNProtocols: ['h2'] };
  const server = createTlsServer(options, (socket) => {
    cleanups.push(() => socket.destroy());
    let sent = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const before = hasRequest(sent);
      sent = Buffer.concat([sent, bytes]);
      if (!before && hasRequest(sent)) socket.write(Buffer.concat(answered));
    });
  });
  cleanups.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function certify(channel: Channel, options: { deadlineMs?: number; metadata?: Record<string, string> } = {}) {
  return channel.unary(methods.certify, { identity: 'web' }, options);
}

function refusedWith(code: number, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof GrpcError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.details, message);
    return true;
  };
}

const answer = encodeFrame(
  toBinary(CertifyResponseSchema, create(CertifyResponseSchema, { leafCertificate: Buffer.from('leaf') })),
);
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

/** Ends a stream with a status in trailers. */
function respond(stream: ServerHttp2Stream, body: Buffer, trailers: Record<string, string>): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}

/** What is logged at warn. */
function recorder(): { lines: Record<string, unknown>[]; logger: Logger } {
  const lines: Record<string, unknown>[] = [];
  return { lines, logger: { ...silentLog, warn: (fields) => void lines.push({ ...fields }) } };
}

type ChannelTo = (port: number, options?: Partial<ChannelOptions>) => Channel;

/** What a channel promises, whatever carries it: one suite for every engine. */
export function channelContract(engine: Engine): void {
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  const channelTo: ChannelTo = (port, options = {}) => {
    const channel = createChannel({
      address: `server:${port}`,
      resolve: () => Promise.resolve([{ address: '127.0.0.1', port }]),
      tls: () => ({ ca: anchor.pem, checkServerIdentity: () => undefined }),
      logger: silentLog,
      connect: engine.connect,
      ...options,
    });
    cleanups.push(() => channel.close());
    return channel;
  };
  unaryCalls(channelTo);
  channels(channelTo, engine);
  streams(channelTo);
}

function unaryCalls(channelTo: ChannelTo): void {
  describe('a unary call', () => {
    test('sends what gRPC asks for and gets the answer', async () => {
      let seen: Record<string, unknown> = {};
      const { port } = await rawServer((stream, headers) => {
        seen = headers;
        respond(stream, answer, { 'grpc-status': '0' });
      });
      const got = await certify(channelTo(port), { deadlineMs: 5_000, metadata: { 'x-test': '1' } });
      assert.equal(Buffer.from(got.leafCertificate).toString(), 'leaf');
      assert.equal(seen[':path'], '/io.linkerd.proxy.identity.Identity/Certify');
      assert.equal(seen[':method'], 'POST');
      assert.equal(seen['te'], 'trailers');
      assert.equal(seen['content-type'], 'application/grpc');
      assert.equal(seen['grpc-timeout'], '5000m');
      assert.equal(seen['x-test'], '1');
    });

    const {
      unauthenticated,
      unavailable,
      unimplemented,
      unknown,
      internal,
      resourceExhausted,
      invalidArgument,
    } = grpcStatus;
    const cases: [string, (stream: ServerHttp2Stream) => void, number, RegExp][] = [
      [
        'trailers alone',
        (s) =>
          s.respond({ ...HEADERS, 'grpc-status': '16', 'grpc-message': 'no%20token' }, { endStream: true }),
        unauthenticated,
        /^no token$/,
      ],
      [
        'a status in trailers',
        (s) => respond(s, Buffer.alloc(0), { 'grpc-status': '3', 'grpc-message': 'b%C3%A4d' }),
        invalidArgument,
        /^bäd$/,
      ],
      ['an unknown code', (s) => respond(s, Buffer.alloc(0), { 'grpc-status': '99' }), unknown, /^$/],
      [
        'OK without an answer',
        (s) => respond(s, Buffer.alloc(0), { 'grpc-status': '0' }),
        internal,
        /without an answer/,
      ],
      [
        'OK inside a message',
        (s) => respond(s, answer.subarray(0, 7), { 'grpc-status': '0' }),
        internal,
        /./,
      ],
      [
        'a message that is not one',
        (s) => respond(s, encodeFrame(Buffer.from([0xff])), { 'grpc-status': '0' }),
        internal,
        /could not be taken/,
      ],
      [
        'a compressed message',
        (s) => respond(s, Buffer.from([1, 0, 0, 0, 0]), { 'grpc-status': '0' }),
        unimplemented,
        /compressed/,
      ],
      [
        'a huge message',
        (s) => respond(s, Buffer.from([0, 255, 0, 0, 0]), { 'grpc-status': '0' }),
        resourceExhausted,
        /limit/,
      ],
      ['HTTP 503', (s) => s.respond({ ':status': 503 }, { endStream: true }), unavailable, /503/],
      ['HTTP 404', (s) => s.respond({ ':status': 404 }, { endStream: true }), unimplemented, /404/],
      [
        'a web page',
        (s) => s.respond({ ':status': 200, 'content-type': 'text/html' }, { endStream: true }),
        unknown,
        /text\/html/,
      ],
      ['a reset', (s) => s.close(2), unavailable, /./],
      ['no status at all', (s) => (s.respond(HEADERS), s.end(answer)), unavailable, /without a status/],
    ];
    for (const [name, handler, code, message] of cases) {
      test(`is refused clearly: ${name}`, async () => {
        const { port } = await rawServer(handler);
        await assert.rejects(certify(channelTo(port)), refusedWith(code, message));
      });
    }

    test('ends with its deadline, and the server is told', async () => {
      const opened = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<number>();
      const { port } = await rawServer((stream) => {
        stream.on('close', () => closed.resolve(stream.rstCode));
        opened.resolve();
      });
      const clock = new ManualClock(Date.now());
      const call = certify(channelTo(port, { clock }), { deadlineMs: 50 });
      // A server that has not heard of the call is told nothing of its end.
      await opened.promise;
      clock.advance(50);
      await assert.rejects(call, refusedWith(grpcStatus.deadlineExceeded, /50 ms/));
      assert.equal(await closed.promise, 8);
    });

    test('takes an answer that is larger than any window', async () => {
      const leafCertificate = Buffer.alloc(3 * 1024 * 1024, 'leaf');
      const large = encodeFrame(
        toBinary(CertifyResponseSchema, create(CertifyResponseSchema, { leafCertificate })),
      );
      const { port } = await rawServer((stream) => respond(stream, large, { 'grpc-status': '0' }));
      const got = await certify(channelTo(port));
      assert.ok(leafCertificate.equals(got.leafCertificate));
    });

    test('share one connection', async () => {
      const { port, sessions } = await rawServer((stream) => respond(stream, answer, { 'grpc-status': '0' }));
      const channel = channelTo(port);
      await Promise.all(Array.from({ length: 10 }, () => certify(channel)));
      assert.equal(sessions(), 1);
    });
  });
}

function channels(channelTo: ChannelTo, { connect, timed }: Engine): void {
  describe('a channel', () => {
    test('tries every address', async () => {
      const { port } = await rawServer((stream) => respond(stream, answer, { 'grpc-status': '0' }));
      const resolve = () =>
        Promise.resolve([
          { address: '127.0.0.1', port: 1 },
          { address: '127.0.0.1', port },
        ]);
      await certify(channelTo(port, { resolve }));
    });

    test('is Unavailable, naming the address, where nobody listens, and waits before the next attempt', async () => {
      const clock = new ManualClock(Date.now());
      let attempts = 0;
      const resolve = () => {
        attempts++;
        return Promise.resolve([{ address: '127.0.0.1', port: 1 }]);
      };
      const channel = channelTo(1, { resolve, clock, random: () => 0.5 });
      await assert.rejects(certify(channel), refusedWith(grpcStatus.unavailable, /server:1.*ECONNREFUSED/));
      assert.equal(attempts, 1);
      const again = certify(channel);
      clock.advance(10);
      assert.equal(attempts, 1);
      clock.advance(1_000);
      await assert.rejects(again);
      assert.equal(attempts, 2);
    });

    test('without a certificate that the peer would have to judge does not wait for its SETTINGS', async () => {
      const channel = channelTo(await silentServer(), { anonymous: true });
      const got = await certify(channel, { deadlineMs: 20_000 });
      assert.equal(Buffer.from(got.leafCertificate).toString(), 'leaf');
    });

    test('connects before its first call where it is told to, once', async () => {
      const server = await rawServer((stream) => respond(stream, answer, { 'grpc-status': '0' }));
      const channel = channelTo(server.port);
      channel.connect();
      channel.connect();
      await server.connected;
      await certify(channel);
      assert.equal(server.sessions(), 1);
    });

    test('is told to connect in vain: its calls tell', async () => {
      const channel = channelTo(1);
      channel.connect();
      await assert.rejects(certify(channel), refusedWith(grpcStatus.unavailable, /server:1.*ECONNREFUSED/));
      channel.close();
      channel.connect();
      await assert.rejects(certify(channel), refusedWith(grpcStatus.cancelled, /closed/));
    });

    test('connects anew after its connection broke', async () => {
      let calls = 0;
      const { port, sessions } = await rawServer((stream) => {
        if (calls++ === 1) stream.session?.destroy();
        else respond(stream, answer, { 'grpc-status': '0' });
      });
      const channel = channelTo(port);
      await certify(channel);
      await assert.rejects(certify(channel), refusedWith(grpcStatus.unavailable, /./));
      await certify(channel);
      assert.equal(sessions(), 2);
    });

    test('drops a connection that does not answer pings', async () => {
      const { pass, ...time } = timed();
      const opened = Promise.withResolvers<void>();
      const { port } = await rawServer((stream) => {
        stream.respond(HEADERS);
        opened.resolve();
      });
      const ended = Promise.withResolvers<GrpcError | undefined>();
      const call = channelTo(port, time).bidiStream(methods.syncTrustBundles, {
        message: () => {},
        end: (error) => ended.resolve(error),
      });
      call.send(create(TrustBundleAckSchema, { sequence: 1n }));
      await opened.promise;
      // In one turn of the event loop no answer can come.
      pass();
      assert.equal((await ended.promise)?.code, grpcStatus.unavailable);
    });

    test('lets calls end on a connection that the peer winds up, and makes another for the next', async () => {
      const held: ServerHttp2Stream[] = [];
      const opened = Promise.withResolvers<void>();
      const { port, goaway, sessions } = await rawServer((stream) => {
        if (held.push(stream) === 1) opened.resolve();
        else respond(stream, answer, { 'grpc-status': '0' });
      });
      let started = 0;
      const told = Promise.withResolvers<void>();
      const counting: Http2Connect = (target, events) => {
        started++;
        return connect(target, {
          ...events,
          draining() {
            events.draining();
            told.resolve();
          },
        });
      };
      const channel = channelTo(port, { connect: counting });
      const first = certify(channel);
      await opened.promise;
      goaway();
      await told.promise;
      await certify(channel);
      assert.deepEqual([sessions(), started], [2, 2]);
      if (held[0] !== undefined) respond(held[0], answer, { 'grpc-status': '0' });
      assert.equal(Buffer.from((await first).leafCertificate).toString(), 'leaf');
    });

    test('fails until there is a certificate', async () => {
      const channel = channelTo(1, { tls: () => undefined });
      await assert.rejects(certify(channel), refusedWith(grpcStatus.unavailable, /no certificate/));
    });

    test('ends its calls when it is closed', async () => {
      const { port } = await rawServer(() => {});
      const channel = channelTo(port);
      const call = certify(channel);
      channel.close();
      await assert.rejects(call, refusedWith(grpcStatus.cancelled, /./));
      await assert.rejects(certify(channel), refusedWith(grpcStatus.cancelled, /closed/));
    });
  });
}

function streams(channelTo: ChannelTo): void {
  describe('a stream', () => {
    test('ends by the status that comes before its requests have ended', async () => {
      const closed = Promise.withResolvers<void>();
      const { port } = await rawServer((stream) => {
        stream.on('close', () => closed.resolve());
        stream.respond({ ...HEADERS, 'grpc-status': '7' }, { endStream: true });
      });
      const ended = Promise.withResolvers<GrpcError | undefined>();
      const call = channelTo(port).bidiStream(methods.syncTrustBundles, {
        message: () => {},
        end: (error) => ended.resolve(error),
      });
      call.send(create(TrustBundleAckSchema, { sequence: 1n }));
      assert.equal((await ended.promise)?.code, grpcStatus.permissionDenied);
      call.send(create(TrustBundleAckSchema, { sequence: 2n }));
      await closed.promise;
    });
  });

  describe('a stream, with the gRPC library on the other side', () => {
    test('that tell nonsense end each time, and one line a minute says so', async () => {
      const { lines, logger } = recorder();
      const { port } = await rawServer((stream) => {
        respond(stream, encodeFrame(Buffer.from('no protobuf at all')), { 'grpc-status': '0' });
      });
      let now = 0;
      const channel = channelTo(port, { logger, clock: { ...systemClock, monotonic: () => now } });
      const ask = async (): Promise<void> => {
        const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>();
        channel.serverStream(methods.getProfile, { path: 'web:80' }, { message: () => {}, end: resolve });
        refusedWith(grpcStatus.internal, /a message could not be taken/)(await promise);
      };
      for (let i = 0; i < 5; i++) await ask();
      assert.deepEqual(
        lines.map(({ method, before }) => [method, before]),
        [[methods.getProfile.path, 0]],
      );
      now += 60_000;
      await ask();
      assert.equal(lines[1]?.['before'], 4);
    });

    test('to what is no HTTP/2 end, and one line says so', async () => {
      const { lines, logger } = recorder();
      const options = { key: serverKey, cert: serverLeaf.pem + issuer.pem };
      const server = createTlsServer(options, (socket) => {
        socket.on('error', () => {});
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      });
      cleanups.push(() => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const channel = channelTo((server.address() as AddressInfo).port, { logger });
      for (let i = 0; i < 3; i++) {
        const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>();
        channel.serverStream(methods.getProfile, { path: 'web:80' }, { message: () => {}, end: resolve });
        assert.equal((await promise)?.code, grpcStatus.unavailable);
      }
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]?.['error']), /127\.0\.0\.1/);
    });

    test('carries messages both ways until it is cancelled', async () => {
      const control = new FakeControlPlane(issuer, web);
      cleanups.push(() => control.stop());
      await control.start([anchor]);
      const received: bigint[] = [];
      const two = Promise.withResolvers<void>();
      const ended = Promise.withResolvers<GrpcError | undefined>();
      const [address = '', port] = control.address.split(':');
      const resolve = () => Promise.resolve([{ address, port: Number(port) }]);
      const channel = channelTo(Number(port), { resolve });
      const call = channel.bidiStream(methods.syncTrustBundles, {
        message: ({ sequence }) => {
          received.push(sequence);
          if (received.length === 2) two.resolve();
        },
        end: (error) => ended.resolve(error),
      });
      call.send(create(TrustBundleAckSchema, { sequence: 5n, namespace: 'shop', workload: 'web-1' }));
      await control.until(() => control.acknowledgements.length === 1);
      assert.equal(control.acknowledgements[0]?.sequence, 5n);
      for (const sequence of [6n, 7n]) control.syncs[0]?.write(create(TrustBundleSchema, { sequence }));
      await two.promise;
      assert.deepEqual(received, [6n, 7n]);
      call.cancel();
      assert.equal((await ended.promise)?.code, grpcStatus.cancelled);
    });
  });
}
