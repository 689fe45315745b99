import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import { encodeFrame, FrameReader } from './grpc-frames.ts';

test('frames come out whole wherever the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }),
      fc.array(fc.nat(2_500), { maxLength: 30 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.map((message) => encodeFrame(message)));
        const points = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const reader = new FrameReader();
        const out: Buffer[] = [];
        for (let i = 1; i < points.length; i++) {
          const chunk = bytes.subarray(points[i - 1], points[i]);
          if (chunk.length > 0) reader.push(chunk, (message) => out.push(Buffer.from(message)));
        }
        assert.deepEqual(
          out.map((message) => message.toString('hex')),
          messages.map((message) => Buffer.from(message).toString('hex')),
        );
        assert.equal(reader.pendingBytes, 0);
      },
    ),
  );
});

test('a message of 4 MiB is taken; of a longer one the length is enough to refuse it', () => {
  const lengths: number[] = [];
  const most = 4 * 1024 * 1024;
  new FrameReader().push(encodeFrame(Buffer.alloc(most)), (message) => lengths.push(message.length));
  assert.deepEqual(lengths, [most]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(most + 1, 1);
  assert.throws(
    () => new FrameReader().push(prefix, () => assert.fail('nothing of it is there')),
    (error) => error instanceof GrpcError && error.code === grpcStatus.resourceExhausted,
  );
});
