import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readCorpus } from './corpus.ts';
import { fuzz, shorten } from './fuzzer.ts';
import { mutate, Random } from './mutate.ts';
import { targets } from './targets/index.ts';

/** Mutations of the corpus that every run of the tests looks at; `npm run fuzz` looks at as many as there is time for. */
const INPUTS = 60;
const SEED = 20_261_121;

for (const target of targets) {
  describe(`fuzz: ${target.name}`, () => {
    const corpus = readCorpus(target.name);

    test(`what was kept passes (${corpus.length} inputs)`, () => {
      for (const { name, bytes } of corpus) assert.doesNotThrow(() => target.fuzz(bytes), name);
    });

    test('so do mutations of it', () => {
      const kept = corpus.map(({ bytes }) => bytes);
      const began = target.seeds.length + kept.length;
      const result = fuzz({
        target,
        seed: SEED,
        corpus: kept,
        goesOn: (inputs) => inputs < began + INPUTS,
      });
      assert.ifError(result.failure?.error);
    });

    test('and whatever fast-check makes of its words', () => {
      const word = fc.constantFrom(...target.words);
      const piece = fc.oneof(
        word,
        fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      );
      const input = fc.tuple(fc.constantFrom(...target.seeds), fc.array(piece), fc.nat());
      fc.assert(
        fc.property(input, ([seed, pieces, at]) => {
          const place = at % (seed.length + 1);
          target.fuzz(Buffer.concat([seed.subarray(0, place), ...pieces, seed.subarray(place)]));
        }),
        { numRuns: INPUTS },
      );
    });
  });
}

test('a seed gives the same inputs each time', () => {
  const [target] = targets;
  assert.ok(target !== undefined);
  const made = (): Buffer[] => {
    const random = new Random(SEED);
    return target.seeds.map((bytes) => mutate(bytes, bytes, random, target));
  };
  assert.deepEqual(made(), made());
});

test('a target that fails is noticed, and its input shortened', () => {
  const target = {
    name: 'broken',
    seeds: [Buffer.from('abc'), Buffer.from('xyz')],
    words: [Buffer.from('!')],
    fuzz: (bytes: Buffer) => assert.ok(!bytes.includes('!')),
  };
  const { failure } = fuzz({ target, seed: SEED, corpus: [], goesOn: () => true });
  assert.ok(failure !== undefined);
  assert.equal(shorten(target, failure).toString(), '!');
});
