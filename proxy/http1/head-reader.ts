import { indexOfByte } from '../bytes/words.ts';

/** Bytes of a head: more is refused (431). Servers allow 8 to 64 KiB; a proxy must not be the narrowest of them. */
export const MAX_HEAD_BYTES = 64 * 1024;

const CR = 13;
const LF = 10;
const EMPTY = Buffer.alloc(0);

/** What `HeadReader.push` returns when the head is not complete. Positive results are the number of bytes that belonged to it. */
export const HeadStatus = {
  more: 0,
  /** A line did not end in CR LF. */
  malformed: -1,
  tooLarge: -2,
} as const;

/** Collects the lines up to an empty one. A head that came whole is not copied. */
export class HeadReader {
  /** The complete head, empty line included: `buffer[start, end)`. */
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  #pending: Buffer = EMPTY;
  #length = 0;
  /** Where to go on looking for line ends; start of the line that is looked at. */
  #scanned = 0;
  #lineStart = 0;

  /** Takes `buffer[start, end)`; see `HeadStatus`. After a positive result it is ready for the next head. */
  push(buffer: Buffer, start: number, end: number): number {
    if (this.#length === 0) {
      this.#scanned = start;
      this.#lineStart = start;
      const found = this.#scan(buffer, Math.min(end, start + MAX_HEAD_BYTES));
      if (found > 0) return this.#complete(buffer, start, found, found - start);
      if (found < 0) return found;
      if (end - start >= MAX_HEAD_BYTES) return HeadStatus.tooLarge;
      this.#keep(buffer, start, end);
      this.#scanned -= start;
      this.#lineStart -= start;
      return HeadStatus.more;
    }
    const before = this.#length;
    this.#keep(buffer, start, Math.min(end, start + MAX_HEAD_BYTES - before));
    const found = this.#scan(this.#pending, this.#length);
    if (found > 0) {
      this.#length = 0;
      return this.#complete(this.#pending, 0, found, found - before);
    }
    if (found < 0) return found;
    return this.#length >= MAX_HEAD_BYTES ? HeadStatus.tooLarge : HeadStatus.more;
  }

  /** Whether what has come of an unfinished head is how all of them begin. */
  beginsWith(prefix: Buffer): boolean {
    const n = Math.min(this.#length, prefix.length);
    return prefix.compare(this.#pending, 0, n, 0, n) === 0;
  }

  /** Forgets what has come, and gives back its memory. */
  release(): void {
    this.#length = 0;
    this.#pending = EMPTY;
    this.buffer = EMPTY;
  }

  #complete(buffer: Buffer, start: number, end: number, consumed: number): number {
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    return consumed;
  }

  /** Index behind the empty line; 0: not there yet. */
  #scan(buffer: Buffer, end: number): number {
    for (let i = this.#scanned; (i = indexOfByte(buffer, LF, i, end)) < end; i++) {
      if (i === this.#lineStart || buffer[i - 1] !== CR) return HeadStatus.malformed;
      if (i - 1 === this.#lineStart) return i + 1;
      this.#lineStart = i + 1;
    }
    this.#scanned = end;
    return 0;
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const need = this.#length + end - start;
    if (need > this.#pending.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(MAX_HEAD_BYTES, Math.max(1024, need * 2)));
      this.#pending.copy(grown, 0, 0, this.#length);
      this.#pending = grown;
    }
    this.#length += buffer.copy(this.#pending, this.#length, start, end);
  }
}

/** One that nobody uses: most heads come whole, so that one reader serves all connections, and stays in the processor's cache. */
let spare: HeadReader | undefined;

/** One that has read nothing; give it back with `giveHeadReader` as soon as a head is complete or has failed. */
export function takeHeadReader(): HeadReader {
  const taken = spare ?? new HeadReader();
  spare = undefined;
  return taken;
}

/** What it has read is forgotten; who has its `buffer` may keep that. */
export function giveHeadReader(reader: HeadReader): void {
  reader.release();
  spare = reader;
}
