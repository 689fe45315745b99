import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalQuantity, quantityValue } from './quantity.ts';

test('the canonical form of k8s.io/apimachinery', () => {
  const cases: [text: string, canonical: string | undefined][] = [
    ['0.5Gi', '512Mi'],
    ['0.10', '100m'],
    ['1024Mi', '1Gi'],
    ['1000m', '1'],
    ['1000', '1k'],
    ['1500', '1500'],
    ['0.1Ki', '102400m'],
    ['-1', '-1'],
    ['+2', '2'],
    ['1e3', '1e3'],
    ['0', '0'],
    ['0.0000000001', '1n'],
    ['1.5', '1500m'],
    ['foo', undefined],
    ['', undefined],
    ['1x', undefined],
    ['1 Gi', undefined],
  ];
  for (const [text, canonical] of cases) assert.equal(canonicalQuantity(text), canonical, text);
});

test('the canonical form is its own and keeps the value', () => {
  const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e2', 'E3');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), suffix, (number, unit) => {
      const text = `${number}${unit}`;
      const canonical = canonicalQuantity(text);
      assert.ok(canonical);
      assert.equal(canonicalQuantity(canonical), canonical);
      assert.equal(quantityValue(canonical), quantityValue(text));
    }),
  );
});

test('a quantity means the same in any of its spellings', () => {
  assert.equal(quantityValue('0.5'), quantityValue('500m'));
  assert.equal(quantityValue('1Ki'), 1024);
  assert.equal(quantityValue('2k'), quantityValue('2e3'));
  assert.equal(quantityValue('-1'), -1);
  for (const text of ['lots', '', '1.2.3', '1x', '1e3Ki']) assert.equal(quantityValue(text), undefined, text);
});
