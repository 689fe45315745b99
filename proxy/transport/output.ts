import { copyBytes } from '../bytes/bytes.ts';
import { recycle, takeBuffer } from './buffers.ts';

const EMPTY = Buffer.alloc(0);
/** Each write takes an eighth off what was usual: bulk comes in batches of all sizes, and a buffer too large is held for a turn only. */
const FORGETTING = 3;

/** What `reserve` has answered last. */
const reservation: { buffer: Buffer; offset: number } = { buffer: EMPTY, offset: 0 };

/** The output buffer of one connection: grows, is taken whole for a write, and is given back when it is empty. */
export class Output {
  #buffer: Buffer = EMPTY;
  #length = 0;
  /** Bytes that the next write is likely to need: as the largest of late. One that has to grow is copied. */
  #usual = 0;

  get length(): number {
    return this.#length;
  }

  append(buffer: Buffer, start: number, end: number): void {
    this.#room(end - start);
    copyBytes(buffer, start, end, this.#buffer, this.#length);
    this.#length += end - start;
  }

  /** Room of n bytes to encode in place; the same object every time, whichever output is asked. */
  reserve(n: number): { buffer: Buffer; offset: number } {
    this.#room(n);
    reservation.buffer = this.#buffer;
    reservation.offset = this.#length;
    return reservation;
  }

  commit(length: number): void {
    this.#length += length;
  }

  /** Takes the buffer with its bytes `[0, length)` out; the output is empty afterwards. */
  take(): Buffer {
    const buffer = this.#buffer;
    this.#buffer = EMPTY;
    this.#usual = Math.max(this.#length, this.#usual - (this.#usual >>> FORGETTING));
    this.#length = 0;
    return buffer;
  }

  discard(): void {
    if (this.#buffer.length > 0) recycle(this.take());
  }

  #room(n: number): void {
    const need = this.#length + n;
    if (need <= this.#buffer.length) return;
    if (this.#length === 0) {
      if (this.#buffer.length > 0) recycle(this.#buffer);
      this.#buffer = takeBuffer(Math.max(n, this.#usual));
      return;
    }
    const grown = takeBuffer(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    recycle(this.#buffer);
    this.#buffer = grown;
  }
}
