import type { Span } from '../bytes/span.ts';

/**
 * A field whose bytes never change, name and value side by side: an entry of a compression table, or what we write
 * again and again. Codecs tell it by where it lies, without a look at its bytes.
 */
export interface LastingField {
  buffer: Buffer;
  nameStart: number;
  nameEnd: number;
  valueEnd: number;
  /** By `hpack-table.ts`; 0: not asked for yet. */
  hash: number;
  /** Its place in HPACK's static table; 0: none. */
  readonly index: number;
}

/** Makes a field of our own; the name is lower case. */
export function lastingField(name: string, value: string): LastingField {
  const buffer = Buffer.from(name + value, 'latin1');
  const { length } = name;
  return { buffer, nameStart: 0, nameEnd: length, valueEnd: buffer.length, hash: 0, index: 0 };
}

/** A part of a head's first line, and the field that its bytes are the value of, if it is a lasting one: a hint that only `lastingOf` reads. */
export interface HeadSpan extends Span {
  origin: LastingField | undefined;
}

/** The lasting field whose value the span is; undefined: it is of bytes that may change. */
export function lastingOf({ buffer, start, end, origin }: HeadSpan): LastingField | undefined {
  if (origin === undefined || origin.buffer !== buffer) return undefined;
  return origin.nameEnd === start && origin.valueEnd === end ? origin : undefined;
}
