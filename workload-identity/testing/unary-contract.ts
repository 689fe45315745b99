import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { CertifyResponseSchema } from '../../api/proto/gen/linkerd/identity_pb.js';
import { grpcStatus } from '../grpc-error.ts';
import { encodeFrame } from '../grpc-frames.ts';
import {
  answer,
  certify,
  type ChannelTo,
  HEADERS,
  rawServer,
  refusedWith,
  respond,
} from './contract-server.ts';
import { ManualClock } from './manual-clock.ts';

/** What a channel promises of calls with one answer. */
export function unaryCalls(channelTo: ChannelTo): void {
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
