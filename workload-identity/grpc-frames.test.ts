import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, FrameReader, MAX_MESSAGE_BYTES } from './grpc-frames.ts';

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
  assert.ok(MAX_MESSAGE_BYTES >= 1024 * 1024);
});
