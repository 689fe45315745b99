import { randomFillSync } from 'node:crypto';

/** Bytes that are drawn at once: a call for every id would cost more than the span. */
const POOL_BYTES = 8 * 1024;

/** Ids of traces and spans: random bytes, never all zero (which means "no id"). */
export class RandomIds {
  readonly #pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  readonly #fill: (pool: Buffer) => void;
  #at = POOL_BYTES;

  /** @param fill for tests */
  constructor(fill: (pool: Buffer) => void = (pool) => void randomFillSync(pool)) {
    this.#fill = fill;
  }

  write(to: Buffer, at: number, length: number): void {
    if (this.#at + length > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    let any = 0;
    for (let i = 0; i < length; i++) {
      const byte = this.#pool[this.#at++] ?? 0;
      to[at + i] = byte;
      any |= byte;
    }
    if (any === 0) to[at + length - 1] = 1;
  }
}
