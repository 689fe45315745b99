/**
 * Protobuf's wire format, as far as we write it by hand: messages of the data plane's calls (`codec.ts`); spans, of
 * which most bytes are known in advance and which generated code makes an object of first; and Linkerd's transport
 * header, which stands before everything else on a connection.
 */

/** Wire types. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** What stands before a field's value: a varint, of one byte for fields up to 15. */
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

/** A whole number as a varint. Not for the data path. */
export function varint(value: number): Buffer {
  const bytes = Buffer.alloc(varintLength(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/** A field that holds bytes, text or a message, with all of its content. Not for the data path. */
export function delimited(field: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([headOf(field, length), ...content]);
}

/** A field that holds a whole number. Not for the data path. */
export function wholeNumber(field: number, value: number): Buffer {
  return Buffer.concat([varint(tagOf(field, VARINT)), varint(value)]);
}

/** What stands in front of content of that length. */
export function headOf(field: number, length: number): Buffer {
  return Buffer.concat([varint(tagOf(field, BYTES)), varint(length)]);
}
