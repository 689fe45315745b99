import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSamples, quantile } from './prometheus-text.ts';

test('samples come with their labels, escapes undone', () => {
  const text = '# HELP a b\n# TYPE a counter\na{x="1",y="q\\"\\\\\\n"} 3\nb 4.5\na_bucket{le="+Inf"} +Inf\n';
  assert.deepEqual(parseSamples(text), [
    { name: 'a', labels: { x: '1', y: 'q"\\\n' }, value: 3 },
    { name: 'b', labels: {}, value: 4.5 },
    { name: 'a_bucket', labels: { le: '+Inf' }, value: Infinity },
  ]);
});

test('a quantile lies in the bucket that holds its rank', () => {
  const buckets = new Map([
    [1, 50],
    [2, 90],
    [5, 100],
    [Infinity, 100],
  ]);
  assert.equal(quantile(buckets, 0.5), 1);
  assert.equal(quantile(buckets, 0.7), 1.5);
  assert.equal(quantile(buckets, 1), 5);
  assert.equal(quantile(new Map(), 0.5), 0);
});

test('quantiles grow with the share and stay within the bounds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { minLength: 3, maxLength: 8 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (counts, share) => {
        let sum = 0;
        const buckets = new Map(counts.map((count, i) => [i + 1, (sum += count)]));
        const value = quantile(buckets, share);
        assert.ok(value >= 0 && value <= counts.length);
        assert.ok(quantile(buckets, Math.min(1, share + 0.1)) >= value);
      },
    ),
  );
});
