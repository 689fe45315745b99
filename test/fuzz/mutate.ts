import { MAX_INPUT } from './target.ts';
import type { FuzzTarget } from './target.ts';

/** Numbers that follow from a seed (xorshift, 32 bits): a run can be had again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed === 0 ? 1 : seed | 0;
  }

  /** An integer of [0, n). */
  below(n: number): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s;
    return n <= 0 ? 0 : (s >>> 0) % n;
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }
}

type Mutation = (bytes: Buffer, random: Random, target: FuzzTarget, other: Buffer) => Buffer;

/** Most changes that one input gets at once. */
const MAX_CHANGES = 6;
const EDGES = [0, 1, 9, 10, 13, 32, 44, 58, 59, 127, 128, 255];
const DIGITS = '0123456789abcdefABCDEF+-x;, ';

const MUTATIONS: readonly Mutation[] = [
  (b, random) => set(b, random.below(b.length), (b[random.below(b.length)] ?? 0) ^ (1 << random.below(8))),
  (b, random) => set(b, random.below(b.length), random.below(256)),
  (b, random) => set(b, random.below(b.length), random.pick(EDGES) ?? 0),
  (b, random) => splice(b, random.below(b.length + 1), 0, Buffer.from([random.pick(EDGES) ?? 0])),
  (b, random) =>
    splice(b, random.below(b.length + 1), 0, Buffer.from(DIGITS[random.below(DIGITS.length)] ?? '0')),
  (b, random, { words }) => splice(b, random.below(b.length + 1), 0, random.pick(words) ?? Buffer.alloc(0)),
  (b, random, { words }) => {
    const word = random.pick(words) ?? Buffer.alloc(0);
    return splice(b, random.below(b.length + 1), word.length, word);
  },
  (b, random) => splice(b, random.below(b.length), 1 + random.below(8), Buffer.alloc(0)),
  (b, random) => b.subarray(0, random.below(b.length + 1)),
  (b, random) => {
    const from = random.below(b.length);
    return splice(b, random.below(b.length + 1), 0, b.subarray(from, from + 1 + random.below(64)));
  },
  (b, random, _target, other) =>
    Buffer.concat([b.subarray(0, random.below(b.length + 1)), other.subarray(random.below(other.length))]),
  (b, _random, _target, other) => Buffer.concat([b, other]),
];

/** Another input, made of one and a piece of a second. */
export function mutate(bytes: Buffer, other: Buffer, random: Random, target: FuzzTarget): Buffer {
  let made = bytes;
  for (let left = 1 + random.below(MAX_CHANGES); left > 0; left--)
    made = random.pick(MUTATIONS)?.(made, random, target, other) ?? made;
  return Buffer.from(made.subarray(0, MAX_INPUT));
}

function set(b: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(b);
  if (at < copy.length) copy[at] = byte;
  return copy;
}

function splice(b: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([b.subarray(0, at), insert, b.subarray(at + remove)]);
}
