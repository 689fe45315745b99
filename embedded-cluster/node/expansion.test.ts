import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { expand } from './expansion.ts';

const known: Record<string, string> = { A: 'one', B: '$(A)', EMPTY: '' };

await it("follows Kubernetes' rules", () => {
  const cases: [string, string][] = [
    ['$(A)', 'one'],
    ['x$(A)y$(EMPTY)z', 'xoneyz'],
    ['$(B)', '$(A)'],
    ['$(NONE)', '$(NONE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$one'],
    ['$A', '$A'],
    ['$(A', '$(A'],
    ['costs 5$', 'costs 5$'],
    ['$$$$', '$$'],
  ];
  for (const [input, expected] of cases)
    assert.equal(
      expand(input, (name) => known[name]),
      expected,
      input,
    );
});

await it('leaves text without dollar signs as it is, and undoes the doubling of dollar signs', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(
        expand(text.replaceAll('$', '$$$$'), (name) => known[name]),
        text,
      );
    }),
  );
});
