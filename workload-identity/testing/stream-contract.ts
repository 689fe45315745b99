import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { TrustBundleAckSchema, TrustBundleSchema } from '../../api/proto/gen/isthmus/control_pb.js';
import { methods } from '../../api/proto/methods.ts';
import { silentLog } from '../../log/index.ts';
import { systemClock } from '../clock.ts';
import { encodeFrame } from '../grpc-frames.ts';
import { MAX_WAITING_BYTES, TURN_MS } from '../grpc-inbox.ts';
import { type GrpcError, grpcStatus } from '../grpc-error.ts';
import type { Logger } from '../types.ts';
import {
  anchor,
  answer,
  certify,
  type ChannelTo,
  cleanups,
  HEADERS,
  issuer,
  rawServer,
  refusedWith,
  respond,
  tlsServer,
} from './contract-server.ts';
import { FakeControlPlane } from './fake-control-plane.ts';
import { workload } from './test-ca.ts';

/** Of a peer that does not stop to tell. */
const MESSAGE_BYTES = 4096;
/** A message of one field that nobody knows: number 15, of bytes, 4093 of them. */
const LONG = Buffer.alloc(MESSAGE_BYTES);
LONG.set([0x7a, 0xfd, 0x1f]);
const MESSAGES = 8192;
/** What may be on its way: the inbox, a grown window, and the buffers of two sockets. */
const HELD_BYTES = 12 * 1024 * 1024;

/** What is logged at warn. */
function recorder(): { lines: Record<string, unknown>[]; logger: Logger } {
  const lines: Record<string, unknown>[] = [];
  return { lines, logger: { ...silentLog, warn: (fields) => void lines.push({ ...fields }) } };
}

/** What a channel promises of streams. */
export function streams(channelTo: ChannelTo): void {
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

    test('whose messages take their time leaves turns between them, and tells its end behind the last', async () => {
      const frame = encodeFrame(Buffer.alloc(0));
      const { port } = await rawServer((stream) =>
        respond(stream, Buffer.concat([frame, frame, frame]), { 'grpc-status': '0' }),
      );
      let now = 0;
      const channel = channelTo(port, { clock: { ...systemClock, monotonic: () => now } });
      /** Each message takes as long as a turn gives. What happens, in its order, and where others had their time. */
      const ask = async (message: (told: string[], cancel: () => void) => void): Promise<string[]> => {
        const told: string[] = [];
        const { promise, resolve } = Promise.withResolvers<void>();
        const call = channel.serverStream(
          methods.getProfile,
          { path: 'web:80' },
          {
            message: () => {
              now += TURN_MS;
              queueMicrotask(() => told.push('others'));
              message(told, () => call.cancel());
            },
            end: (error) => {
              told.push(`end ${error?.code ?? 0}`);
              resolve();
            },
          },
        );
        await promise;
        return told;
      };
      const whole = await ask((told) => told.push('message'));
      assert.deepEqual(whole, ['message', 'others', 'message', 'others', 'message', 'others', 'end 0']);
      const cancelled = await ask((told, cancel) => {
        told.push('message');
        cancel();
      });
      assert.deepEqual(cancelled, ['message', `end ${grpcStatus.cancelled}`, 'others']);
    });

    test('that tells faster than it is taken is held up, loses nothing before its error, and other calls are answered', async () => {
      const frame = encodeFrame(LONG);
      let sent = 0;
      const { port } = await rawServer((stream, headers) => {
        if (headers[':path'] === methods.certify.path) return respond(stream, answer, { 'grpc-status': '0' });
        stream.respond(HEADERS, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
        const more = (): void => {
          if (sent === MESSAGES) stream.end();
          else stream.write(frame, more);
          sent = Math.min(sent + 1, MESSAGES);
        };
        more();
      });
      let now = 0;
      const channel = channelTo(port, { clock: { ...systemClock, monotonic: () => now } });
      const ended = Promise.withResolvers<GrpcError | undefined>();
      let taken = 0;
      let most = 0;
      let certified: Promise<unknown> | undefined;
      channel.serverStream(
        methods.getProfile,
        { path: 'web:80' },
        {
          message: () => {
            // One a turn.
            now += TURN_MS;
            taken++;
            most = Math.max(most, sent - taken);
            if (sent - taken > MAX_WAITING_BYTES / MESSAGE_BYTES) certified ??= certify(channel);
          },
          end: ended.resolve,
        },
      );
      assert.equal((await ended.promise)?.code, grpcStatus.unavailable);
      assert.equal(taken, MESSAGES);
      assert.ok(most * MESSAGE_BYTES < HELD_BYTES, `${most} messages waited`);
      assert.ok(certified !== undefined, 'the peer was never ahead');
      await certified;
    });

    test('that tells nonsense ends each time, and one line a minute says so', async () => {
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

    test('to what is no HTTP/2 ends, and one line says so', async () => {
      const { lines, logger } = recorder();
      const port = await tlsServer([], (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      const channel = channelTo(port, { logger });
      for (let i = 0; i < 3; i++) {
        const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>();
        channel.serverStream(methods.getProfile, { path: 'web:80' }, { message: () => {}, end: resolve });
        assert.equal((await promise)?.code, grpcStatus.unavailable);
      }
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]?.['error']), /127\.0\.0\.1/);
    });
  });

  describe('a stream, with the gRPC library on the other side', () => {
    test('carries messages both ways until it is cancelled', async () => {
      const control = new FakeControlPlane(issuer, workload('web'));
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
