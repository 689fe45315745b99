import type { PeakEwma } from './peak-ewma.ts';

/** What a picker picks from. */
export interface Candidate {
  readonly load: PeakEwma;
}

/** An immutable snapshot of the endpoints that can take a request. Replaced whenever they change; picking is synchronous and allocates nothing. */
export class Picker<C extends Candidate> {
  readonly candidates: readonly C[];
  readonly #random: () => number;

  /** @param random a number in [0, 1) */
  constructor(candidates: readonly C[], random: () => number) {
    this.candidates = candidates;
    this.#random = random;
  }

  /** Power of two choices: the cheaper of two different random candidates. @param now ms, monotonic */
  pick(now: number): C | undefined {
    const n = this.candidates.length;
    if (n <= 1) return this.candidates[0];
    const first = Math.floor(this.#random() * n);
    const second = (first + 1 + Math.floor(this.#random() * (n - 1))) % n;
    const a = this.candidates[first];
    const b = this.candidates[second];
    if (a === undefined || b === undefined) return a ?? b;
    return a.load.cost(now) <= b.load.cost(now) ? a : b;
  }

  /** The same snapshot without one that just failed a request. */
  without(failed: C): Picker<C> {
    return new Picker(
      this.candidates.filter((candidate) => candidate !== failed),
      this.#random,
    );
  }
}
