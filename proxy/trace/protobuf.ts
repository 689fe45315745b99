/**
 * Protobuf's wire format, as far as spans need it. Written by hand: a span is some attributes that are known in advance and a few values, and the generated code makes
 * an object of each first.
 */

/** Wire types. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;

export function tagOf(field: number, type: number): number {
  return (field << 3) | type;
}

/** Bytes of a whole number as a varint. */
export function varintLength(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** @returns where the next bytes go */
export function writeVarint(to: Buffer, at: number, value: number): number {
  let rest = value;
  let o = at;
  while (rest > 127) {
    to[o++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  to[o++] = rest;
  return o;
}

/** A field that holds bytes, text or a message, with all of its content. Not for the data path. */
export function delimited(field: number, ...content: readonly Buffer[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([headOf(field, length), ...content]);
}

/** What stands in front of content of that length. */
export function headOf(field: number, length: number): Buffer {
  const head = Buffer.alloc(1 + varintLength(length));
  head[0] = tagOf(field, BYTES);
  writeVarint(head, 1, length);
  return head;
}

const NS_PER_US = 1_000;
const WORD = 2 ** 32;

/** ms since the epoch as nanoseconds in eight bytes, the lowest first. Nanoseconds since 1970 are more than a number holds: microseconds are, so they are multiplied in two halves. */
export function writeNanoseconds(to: Buffer, at: number, ms: number): number {
  const us = Math.floor(ms * NS_PER_US);
  const low = (us % WORD) * NS_PER_US;
  const high = Math.floor(us / WORD) * NS_PER_US + Math.floor(low / WORD);
  return writeWord(to, writeWord(to, at, low % WORD), high);
}

function writeWord(to: Buffer, at: number, word: number): number {
  to[at] = word & 255;
  to[at + 1] = (word >>> 8) & 255;
  to[at + 2] = (word >>> 16) & 255;
  to[at + 3] = (word >>> 24) & 255;
  return at + 4;
}
