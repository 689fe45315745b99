import { copyBytes } from './bytes.ts';

const ZERO = 48;
const BACKSLASH = 92;
const QUOTE = 34;
const HEX = Buffer.from('0123456789abcdef');

/** Bytes that one byte of a client can become: `\u00xx`. */
export const MAX_ESCAPED = 6;

/** 1: the byte does not stand for itself in a quoted string of a log: controls (a line break would forge a line), quotes, and what is not ASCII. */
const special = new Uint8Array(256);
for (let c = 0; c < 256; c++) if (c < 32 || c >= 127 || c === QUOTE || c === BACKSLASH) special[c] = 1;

/** How bytes that could end a quoted string are written: JSON's `\u00xx`, or `\xxx` as Apache's logs have it. */
export type Escape = 'json' | 'apache';

/** Writes text as bytes, without making strings of it. Who writes has made room. */
export class ByteWriter {
  buffer: Buffer;
  at = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  bytes(from: Buffer, start: number, end: number): void {
    this.at = copyBytes(from, start, end, this.buffer, this.at);
  }

  /** The same for bytes that were made once. */
  text(made: Buffer): void {
    this.at = copyBytes(made, 0, made.length, this.buffer, this.at);
  }

  /** A whole number from 0 to 2^53. */
  decimal(value: number): void {
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits++;
    this.padded(value, digits);
  }

  /** The same with exactly so many digits. */
  padded(value: number, digits: number): void {
    let rest = value;
    for (let i = this.at + digits - 1; i >= this.at; i--) {
      // Small integers are divided much faster.
      const next = rest <= 0x7fffffff ? (rest / 10) | 0 : Math.floor(rest / 10);
      this.buffer[i] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.at += digits;
  }

  /** Two hexadecimal digits a byte. */
  hex(from: Buffer, start: number, end: number): void {
    for (let i = start; i < end; i++) this.#hexByte(from[i] ?? 0);
  }

  /**
   * What a client wrote, so that it cannot end the string that it stands in. Bytes beyond ASCII are taken as Latin-1.
   * At most `MAX_ESCAPED` times its length.
   */
  escaped(how: Escape, from: Buffer, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      const c = from[i] ?? 0;
      if (special[c] === 0) this.buffer[this.at++] = c;
      else this.#escape(how, c);
    }
  }

  #escape(how: Escape, c: number): void {
    this.buffer[this.at++] = BACKSLASH;
    if (c === QUOTE || c === BACKSLASH) {
      this.buffer[this.at++] = c;
      return;
    }
    this.text(how === 'json' ? UNICODE : BYTE);
    this.#hexByte(c);
  }

  #hexByte(c: number): void {
    this.buffer[this.at++] = HEX[c >> 4] ?? 0;
    this.buffer[this.at++] = HEX[c & 15] ?? 0;
  }
}

const UNICODE = Buffer.from('u00');
const BYTE = Buffer.from('x');
