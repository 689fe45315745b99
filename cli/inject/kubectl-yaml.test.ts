import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dumpDocument, loadDocument, splitDocuments } from './kubectl-yaml.ts';

const scalars: [text: string, value: unknown][] = [
  ['yes', true],
  ['off', false],
  ['0644', 0o644],
  ['0o17', 15],
  ['0x1f', 31],
  ['1e3', 1000],
  ['08', 8],
  ['12:30', '12:30'],
  ['2026-01-01', '2026-01-01'],
  ['1_000', '1_000'],
  ['~', null],
  ["'yes'", 'yes'],
];

for (const [text, value] of scalars) {
  test(`${text} is ${JSON.stringify(value)}, as kubectl reads it`, () => {
    assert.deepEqual(loadDocument(`a: ${text}`), { a: value });
  });
}

test('anchors and merge keys are what they stand for', () => {
  assert.deepEqual(loadDocument('base: &b {one: 1}\nother:\n  <<: *b\n  two: 2'), {
    base: { one: 1 },
    other: { one: 1, two: 2 },
  });
});

test('what is printed is read again as it was: text that looks like something else is quoted', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(...scalars.map(([scalar]) => scalar), 'null', '=', '<<'),
  );
  const value = fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(text, fc.integer(), fc.boolean()));
  fc.assert(
    fc.property(value, (object) => {
      assert.deepEqual(loadDocument(dumpDocument(object)), { ...object });
    }),
  );
});

test('a stream falls apart at its markers alone; documents without content are none', () => {
  const stream = [
    '# head',
    '---',
    'a: 1 # why',
    '--- # second',
    'b: |',
    '  ---',
    '  text',
    '---',
    '# nothing',
    '---',
    'c: "---"',
    '',
  ].join('\n');
  const documents = splitDocuments(stream);
  assert.deepEqual(documents.map(loadDocument), [{ a: 1 }, { b: '---\ntext\n' }, { c: '---' }]);
  assert.match(documents[0] ?? '', /# why/);
});
