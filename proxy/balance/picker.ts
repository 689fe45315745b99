import type { PeakEwma } from './peak-ewma.ts';

/** What a picker picks from. */
export interface Candidate {
  readonly load: PeakEwma;
  /** Its share relative to the others, above 0. */
  readonly weight: number;
}

/** An immutable snapshot of the endpoints that can take a request. Replaced whenever they change; picking is synchronous and allocates nothing. */
export class Picker<C extends Candidate> {
  readonly candidates: readonly C[];
  /** One that a single request tries before it counts again: given first. */
  readonly #probe: C | undefined;
  readonly #random: () => number;

  /** @param random a number in [0, 1) */
  constructor(candidates: readonly C[], random: () => number, probe?: C) {
    this.candidates = candidates;
    this.#random = random;
    this.#probe = probe;
  }

  /** It has nothing to give. */
  get empty(): boolean {
    return this.candidates.length === 0 && this.#probe === undefined;
  }

  /** Power of two choices: of two different random candidates the one that is cheaper for its weight. @param now ms, monotonic */
  pick(now: number): C | undefined {
    if (this.#probe !== undefined) return this.#probe;
    const n = this.candidates.length;
    if (n <= 1) return this.candidates[0];
    const first = Math.floor(this.#random() * n);
    const second = (first + 1 + Math.floor(this.#random() * (n - 1))) % n;
    const a = this.candidates[first];
    const b = this.candidates[second];
    if (a === undefined || b === undefined) return a ?? b;
    return a.load.cost(now) / a.weight <= b.load.cost(now) / b.weight ? a : b;
  }

  /** The same snapshot without one that just failed a request, and without the probe: who has failed once already is not risked. */
  without(failed: C): Picker<C> {
    return new Picker(
      this.candidates.filter((candidate) => candidate !== failed),
      this.#random,
    );
  }
}
