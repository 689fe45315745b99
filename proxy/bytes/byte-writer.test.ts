import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, MAX_ESCAPED, type Escape } from './byte-writer.ts';

function written(write: (out: ByteWriter) => void): string {
  const out = new ByteWriter(Buffer.alloc(4_096));
  write(out);
  return out.buffer.toString('latin1', 0, out.at);
}

function escaped(how: Escape, bytes: Uint8Array): string {
  return written((out) => out.escaped(how, Buffer.from(bytes), 0, bytes.length));
}

test('numbers are written as they are said', () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(), fc.maxSafeNat()), (n) => {
      assert.equal(
        written((out) => out.decimal(n)),
        String(n),
      );
    }),
  );
  assert.equal(
    written((out) => out.padded(42, 6)),
    '000042',
  );
});

test('whatever bytes a client sends, JSON reads them back, and no line ends early', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = escaped('json', bytes);
      assert.equal(JSON.parse(`"${text}"`), Buffer.from(bytes).toString('latin1'));
      assert.ok(text.length <= bytes.length * MAX_ESCAPED);
      for (const how of ['json', 'apache'] as const) assert.match(escaped(how, bytes), /^[ -~]*$/);
    }),
  );
});

test("apache: quotes and controls cannot end the request's part of a line", () => {
  assert.equal(
    escaped('apache', Buffer.from('/a"b\\c\r\n1.2.3.4 - - "\x7f\xe9', 'latin1')),
    '/a\\"b\\\\c\\x0d\\x0a1.2.3.4 - - \\"\\x7f\\xe9',
  );
});

test('hexadecimal', () => {
  assert.equal(
    written((out) => out.hex(Buffer.from('00ff1a', 'hex'), 0, 3)),
    '00ff1a',
  );
});
