import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { ObjectIndex } from './object-index.ts';

test('an index finds by each term exactly what is there, and names the terms that a change is for', () => {
  const key = fc.constantFrom('a', 'b', 'c');
  const terms = fc.subarray(['x', 'y', 'z']);
  const change = fc.tuple(key, fc.option(terms, { nil: undefined }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const index = new ObjectIndex<KubernetesObject & { terms: string[] }>((object) => object.terms);
      const model = new Map<string, string[]>();
      for (const [name, given] of changes) {
        const before = model.get(name) ?? [];
        if (given === undefined) model.delete(name);
        else model.set(name, given);
        const told = index.set(name, given === undefined ? undefined : { metadata: { name }, terms: given });
        assert.deepEqual(told, new Set([...before, ...(given ?? [])]));
      }
      const named = (objects: KubernetesObject[]) => objects.map(({ metadata }) => metadata?.name);
      assert.deepEqual(named(index.all()), [...model.keys()].sort());
      for (const term of ['x', 'y', 'z']) {
        const holders = [...model].filter(([, of]) => of.includes(term)).map(([name]) => name);
        assert.deepEqual(named(index.byTerm(term)), holders.sort());
      }
    }),
  );
});
