import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { duplicateFields } from './duplicate-fields.ts';

void test('fields that are given twice are named by their path', () => {
  const text =
    '{"a":1,"b":{"x":"a","x":"{\\"y\\":1,"},"c":[{"k":1},{"k":1,"k":2,"z":["k","k"]}],"a":[],"\\u0061":2}';
  assert.deepEqual(duplicateFields(text), ['b.x', 'c[1].k', 'a', 'a']);
});

void test('what JSON.stringify writes has no field twice', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.deepEqual(duplicateFields(JSON.stringify(value)), []);
    }),
  );
});
