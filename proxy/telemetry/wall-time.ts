import type { ByteWriter } from '../bytes/byte-writer.ts';

const MS_PER_SECOND = 1_000;
/** ms after which the clocks are compared again: the wall's may be set. */
const COMPARE_MS = 1_000;
/** Digits behind the second. */
const FRACTION_DIGITS = 6;
/** `2026-01-02T03:04:05`. */
const SECOND_LENGTH = 19;

const DOT = Buffer.from('.');
const ZULU = Buffer.from('Z');

/** Tells when something was by the wall's clock that was timed by the monotonic one. */
export class WallTime {
  readonly #now: () => number;
  readonly #wall: () => number;
  #offset = 0;
  #comparedAt = -Infinity;

  /** @param now ms, monotonic @param wall ms since the epoch */
  constructor(now: () => number, wall: () => number = Date.now) {
    this.#now = now;
    this.#wall = wall;
  }

  /** ms since the epoch, with fractions. @param at ms, monotonic */
  of(at: number): number {
    if (at - this.#comparedAt > COMPARE_MS) {
      this.#comparedAt = this.#now();
      this.#offset = this.#wall() - this.#comparedAt;
    }
    return at + this.#offset;
  }
}

/** Writes times as RFC 3339 has them, in UTC, with microseconds. */
export class Timestamps {
  readonly #text = Buffer.alloc(SECOND_LENGTH);
  #second = -1;

  /** @param ms since the epoch */
  write(out: ByteWriter, ms: number): void {
    const second = Math.floor(ms / MS_PER_SECOND);
    if (second !== this.#second) {
      this.#second = second;
      this.#text.write(new Date(second * MS_PER_SECOND).toISOString(), 0, SECOND_LENGTH, 'latin1');
    }
    out.text(this.#text);
    out.text(DOT);
    out.padded(Math.floor((ms - second * MS_PER_SECOND) * MS_PER_SECOND), FRACTION_DIGITS);
    out.text(ZULU);
  }
}
