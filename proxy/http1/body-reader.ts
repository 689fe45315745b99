import { hexValue } from '../bytes/characters.ts';
import { HeadReader, HeadStatus } from './head-reader.ts';
import { Framing } from './framing.ts';
import { parseTrailers } from './head-parser.ts';
import { Head } from '../message/head.ts';

/** What a trailer section says of framing is refused at once: one for all. */
const framing = new Framing();

/** How a body ends. */
export type BodyKind = 'none' | 'length' | 'chunked' | 'close';

/** What `BodyReader.next` found. */
export type BodyEvent = 'more' | 'data' | 'end' | 'trailers' | 'malformed';

/** Bytes of one line with a chunk's size and extensions: extensions mean nothing to anybody, so little room is left for them. */
export const MAX_CHUNK_LINE = 256;
/** Hexadecimal digits of a chunk's size: below 2^52, exact in a number. */
export const MAX_SIZE_DIGITS = 13;

const CR = 13;
const LF = 10;
const QUOTE = 34;
const BACKSLASH = 92;

type State =
  | 'size'
  | 'extension'
  | 'quoted'
  | 'escaped'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailers'
  | 'done';

/** Reads one body after the other, in pieces of any size. The caller loops over `next` until 'more', an end, or 'malformed'. */
export class BodyReader {
  kind: BodyKind = 'none';
  /** After 'data': the payload is `b[dataStart, dataEnd)`; `last`: nothing follows, no 'end' comes. */
  dataStart = 0;
  dataEnd = 0;
  last = false;
  /** Where the next call goes on. */
  position = 0;
  /** Made at the first chunked body. */
  #trailerReader: TrailerReader | undefined = undefined;
  #remaining = 0;
  #state: State = 'done';
  #digits = 0;
  #lineBytes = 0;

  /** After 'trailers'. */
  get trailers(): Head {
    return this.#trailersOf().head;
  }

  begin(kind: BodyKind, length: number): void {
    this.kind = kind;
    this.#remaining = kind === 'length' ? length : 0;
    this.#state = 'size';
    this.#digits = 0;
    this.#lineBytes = 0;
  }

  next(b: Buffer, start: number, end: number): BodyEvent {
    this.position = start;
    this.last = false;
    switch (this.kind) {
      case 'none':
        return 'end';
      case 'close':
        return this.#emit(start, end);
      case 'length':
        return this.#length(start, end);
      default:
        return this.#chunked(b, start, end);
    }
  }

  #emit(start: number, end: number): BodyEvent {
    if (start === end) return 'more';
    this.dataStart = start;
    this.dataEnd = end;
    this.position = end;
    return 'data';
  }

  #length(start: number, end: number): BodyEvent {
    const n = Math.min(end - start, this.#remaining);
    this.#remaining -= n;
    this.last = this.#remaining === 0;
    if (n === 0 && this.last) return 'end';
    return this.#emit(start, start + n);
  }

  #chunked(b: Buffer, start: number, end: number): BodyEvent {
    let i = start;
    while (i < end) {
      if (this.#state === 'data') return this.#chunkData(i, end);
      if (this.#state === 'trailers') return this.#trailers(b, i, end);
      if (this.#state === 'done') break;
      if (!this.#step(b[i] ?? 0)) return 'malformed';
      i++;
    }
    this.position = i;
    return 'more';
  }

  /** One byte of the framing between chunks; false when it is wrong. */
  #step(c: number): boolean {
    switch (this.#state) {
      case 'size':
        return this.#sizeByte(c);
      case 'extension':
      case 'quoted':
      case 'escaped':
        return this.#extensionByte(c);
      case 'size-lf':
        this.#state = this.#remaining === 0 ? 'trailers' : 'data';
        return c === LF;
      case 'data-cr':
        this.#state = 'data-lf';
        return c === CR;
      default:
        this.#state = 'size';
        this.#digits = 0;
        this.#lineBytes = 0;
        return c === LF;
    }
  }

  /** A line that ends within quotes is refused: who reads on to the closing ones finds other chunks. */
  #extensionByte(c: number): boolean {
    if (++this.#lineBytes > MAX_CHUNK_LINE) return false;
    if (c === CR) {
      const isOutside = this.#state === 'extension';
      this.#state = 'size-lf';
      return isOutside;
    }
    if (this.#state === 'escaped') this.#state = 'quoted';
    else if (c === QUOTE) this.#state = this.#state === 'quoted' ? 'extension' : 'quoted';
    else if (c === BACKSLASH && this.#state === 'quoted') this.#state = 'escaped';
    return c === 9 || (c >= 32 && c !== 127);
  }

  #sizeByte(c: number): boolean {
    const digit = hexValue(c);
    if (digit >= 0) {
      this.#remaining = this.#remaining * 16 + digit;
      return ++this.#digits <= MAX_SIZE_DIGITS;
    }
    if (this.#digits === 0) return false;
    if (c === CR) this.#state = 'size-lf';
    else if (c === 59) this.#state = 'extension';
    else return false;
    return true;
  }

  #chunkData(start: number, end: number): BodyEvent {
    const n = Math.min(end - start, this.#remaining);
    this.#remaining -= n;
    if (this.#remaining === 0) this.#state = 'data-cr';
    return this.#emit(start, start + n);
  }

  #trailers(b: Buffer, start: number, end: number): BodyEvent {
    const { head, reader } = this.#trailersOf();
    const consumed = reader.push(b, start, end);
    if (consumed === HeadStatus.more) {
      this.position = end;
      return 'more';
    }
    if (consumed < 0) return 'malformed';
    this.position = start + consumed;
    this.#state = 'done';
    const { buffer, start: from, end: to } = reader;
    if (to - from === 2) return 'end';
    return parseTrailers(buffer, from, to, head, framing) === undefined ? 'trailers' : 'malformed';
  }

  #trailersOf(): TrailerReader {
    return (this.#trailerReader ??= { head: new Head(), reader: new HeadReader() });
  }
}

/** What reading trailers takes: some kilobytes, which most connections never need. */
interface TrailerReader {
  readonly head: Head;
  readonly reader: HeadReader;
}
