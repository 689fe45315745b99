import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { TrustBundleAckSchema } from '../../api/proto/gen/isthmus/control_pb.js';
import { methods } from '../../api/proto/methods.ts';
import { silentLog } from '../../log/index.ts';
import type { Clock } from '../clock.ts';
import { createChannel } from '../grpc-client.ts';
import { type GrpcError, grpcStatus } from '../grpc-error.ts';
import type { Http2Connect } from '../http2.ts';
import {
  anchor,
  answer,
  certify,
  type ChannelTo,
  cleanups,
  HEADERS,
  rawServer,
  refusedWith,
  respond,
  silentServer,
} from './contract-server.ts';
import { ManualClock } from './manual-clock.ts';
import { streams } from './stream-contract.ts';
import { unaryCalls } from './unary-contract.ts';

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
