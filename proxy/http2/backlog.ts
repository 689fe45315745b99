import { recycle, takeBuffer } from '../transport/buffers.ts';

/** Bytes from which a piece is copied into a buffer of the pool: bulk then makes no garbage, and a few waiting bytes don't hold a large buffer. */
const POOLED = 1024;

/** Bytes of one stream that wait for a window, in their order. */
export class Backlog {
  #pieces: Buffer[] = [];
  /** Where the first piece goes on, and the bytes in each. */
  #start = 0;
  #ends: number[] = [];

  get empty(): boolean {
    return this.#pieces.length === 0;
  }
  get pieces(): number {
    return this.#pieces.length;
  }
  /** Bytes that lie together at the front: `buffer[start, end)`; valid until `drop` or `clear`. */
  get buffer(): Buffer {
    return this.#pieces[0]!;
  }
  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#ends[0]!;
  }

  /** Copies bytes behind the others; there is at least one. */
  add(b: Buffer, start: number, end: number): void {
    const n = end - start;
    const piece = n >= POOLED ? takeBuffer(n) : Buffer.allocUnsafe(n);
    b.copy(piece, 0, start, end);
    this.#pieces.push(piece);
    this.#ends.push(n);
  }

  /** Takes n bytes off the front, not more than lie together there. */
  drop(n: number): void {
    this.#start += n;
    if (this.#start < this.end) return;
    recycle(this.buffer);
    this.#pieces.shift();
    this.#ends.shift();
    this.#start = 0;
  }

  clear(): void {
    for (const piece of this.#pieces) recycle(piece);
    this.#pieces = [];
    this.#ends = [];
    this.#start = 0;
  }
}

/** Of all streams of which nothing waits: never added to. */
export const NO_BACKLOG = new Backlog();
