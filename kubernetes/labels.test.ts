import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabelSelector } from '../api/kubernetes-types.ts';
import { formatSelector, isEmptySelector, matchesSelector, parseSelector } from './labels.ts';

const cases: [
  name: string,
  selector: LabelSelector,
  labels: Record<string, string> | undefined,
  expected: boolean,
][] = [
  ['an equal label', { matchLabels: { a: 'b' } }, { a: 'b', c: 'd' }, true],
  ['another value', { matchLabels: { a: 'b' } }, { a: 'c' }, false],
  ['no labels at all', { matchLabels: { a: 'b' } }, undefined, false],
  ['In', { matchExpressions: [{ key: 'a', operator: 'In', values: ['x', 'y'] }] }, { a: 'y' }, true],
  [
    'NotIn with the value',
    { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['x'] }] },
    { a: 'x' },
    false,
  ],
  [
    'NotIn without the label',
    { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['x'] }] },
    {},
    true,
  ],
  ['Exists', { matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
  [
    'Exists does not see what objects inherit',
    { matchExpressions: [{ key: 'toString', operator: 'Exists' }] },
    {},
    false,
  ],
  ['DoesNotExist', { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: '1' }, false],
  [
    'all requirements must hold',
    { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'c', operator: 'Exists' }] },
    { a: 'b' },
    false,
  ],
];

for (const [name, selector, labels, expected] of cases) {
  test(`${name}: ${expected ? 'matches' : 'does not match'}, also by way of its query form`, () => {
    assert.equal(matchesSelector(selector, labels), expected);
    assert.equal(matchesSelector(parseSelector(formatSelector(selector)), labels), expected);
  });
}

test('kubectl forms are read', () => {
  assert.equal(matchesSelector(parseSelector('a=b,c!=d'), { a: 'b' }), true);
  assert.equal(matchesSelector(parseSelector('a==b, c in (x, y),!e'), { a: 'b', c: 'y' }), true);
  assert.equal(matchesSelector(parseSelector('a notin (b,c)'), { a: 'c' }), false);
});

test('what can not be read is named', () => {
  assert.throws(() => parseSelector('a b'), /"a b" can not be read/);
  const bad = { matchExpressions: [{ key: 'k', operator: 'Equals' }] } as unknown as LabelSelector;
  assert.throws(() => matchesSelector(bad, { k: 'v' }), /"Equals" on "k" is no operator/);
  assert.throws(
    () => matchesSelector({ matchExpressions: [{ key: 'k', operator: 'In' }] }, {}),
    /needs values/,
  );
});

test('absent and empty selectors are empty', () => {
  assert.equal(isEmptySelector(undefined), true);
  assert.equal(isEmptySelector({ matchLabels: {}, matchExpressions: [] }), true);
  assert.equal(isEmptySelector({ matchLabels: { a: 'b' } }), false);
});
