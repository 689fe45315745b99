import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backlog } from './backlog.ts';

test('bytes leave in the order in which they came, whatever the pieces, also when shared buffers are used again', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 30_000, max: 140_000 }));
  const step = fc.record({ add: size, drop: fc.double({ min: 0, max: 1, noNaN: true }) });
  let next = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const backlog = new Backlog();
      const other = new Backlog();
      const expected: Buffer[] = [];
      const seen: Buffer[] = [];
      for (const { add, drop } of steps) {
        const bytes = Buffer.alloc(add, next++ & 255);
        expected.push(Buffer.from(bytes));
        backlog.add(bytes, 0, add);
        other.add(Buffer.alloc(add, 0xee), 0, add);
        const n = Math.ceil((backlog.end - backlog.start) * drop);
        seen.push(Buffer.from(backlog.buffer.subarray(backlog.start, backlog.start + n)));
        backlog.drop(n);
        if (drop > 0.5) other.clear();
      }
      while (!backlog.empty) {
        seen.push(Buffer.from(backlog.buffer.subarray(backlog.start, backlog.end)));
        backlog.drop(backlog.end - backlog.start);
      }
      other.clear();
      assert.ok(Buffer.concat(seen).equals(Buffer.concat(expected)));
    }),
    { numRuns: 50 },
  );
});
