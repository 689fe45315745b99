import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashBytes, indexOfByte } from './words.ts';

/** Few different bytes, those beside a line end among them, so that what is looked for is often there, and often nearly. */
const byte = fc.constantFrom(0, 9, 10, 11, 12, 13, 14, 0x8a, 0x8d, 0x7f, 0x80, 0xff);

test('a byte is found where it first stands, wherever it is looked for', () => {
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 24 }), byte, fc.nat(24), fc.nat(24), (bytes, wanted, a, b) => {
      const buffer = Buffer.from(bytes);
      const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
      const found = bytes.slice(start, end).indexOf(wanted);
      assert.equal(indexOfByte(buffer, wanted, start, end), found < 0 ? end : start + found);
    }),
  );
});

test('the same bytes have the same hash wherever they lie, and others nearly always another one', () => {
  const text = fc.uint8Array({ minLength: 4, maxLength: 40 });
  fc.assert(
    fc.property(
      text,
      fc.nat(9),
      fc.nat(39),
      fc.integer({ min: 1, max: 255 }),
      (bytes, before, at, change) => {
        const { length } = bytes;
        const moved = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(5, 2)]);
        const hash = hashBytes(Buffer.from(bytes), 0, length);
        assert.equal(hashBytes(moved, before, before + length), hash);
        moved[before + (at % length)]! ^= change;
        assert.notEqual(hashBytes(moved, before, before + length), hash);
      },
    ),
  );
});

test('a buffer that is a part of another one is read as itself', () => {
  const whole = Buffer.from('0123456789\nabcdef');
  assert.equal(indexOfByte(whole.subarray(3), 10, 0, whole.length - 3), 7);
  assert.equal(indexOfByte(whole, 10, 0, whole.length), 10);
});
