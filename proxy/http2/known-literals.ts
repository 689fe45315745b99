import {
  isCredential,
  KnownBytes,
  MAX_KNOWN_BYTES,
  MIN_KNOWN_BYTES,
  type Known,
} from '../message/known-bytes.ts';
import { STATIC_LENGTH, tableEntry, type TableEntry } from './hpack-table.ts';

/** A literal representation of a field (RFC 7541 section 6.2) that came before. It is sound, no secret, and means the same on every connection. */
export type KnownLiteral = Known<TableEntry>;

/** Encoders that never look into their table write the same literals again and again, Huffman-coded and to be inserted (nginx, of an answer's five fields). */
const literals = new KnownBytes<TableEntry>();

/** What the literal `b[start, end)` is, if it came before. */
export function knownLiteral(b: Buffer, start: number, end: number): KnownLiteral | undefined {
  return mayBeKnown(start, end) ? literals.find(b, start, end) : undefined;
}

/**
 * Remembers the literal `b[start, end)` when it comes for the second time. The caller vouches that its value is sound,
 * and that its sender has not asked to keep it out of tables.
 * @param nameIndex 0: the name stands in it. A name of the dynamic table is another one another time: such a literal is
 * never known.
 */
export function rememberLiteral(
  b: Buffer,
  start: number,
  end: number,
  nameIndex: number,
  kind: number,
  nameBuffer: Buffer,
  nameStart: number,
  nameEnd: number,
  valueBuffer: Buffer,
  valueStart: number,
  valueEnd: number,
): void {
  if (nameIndex > STATIC_LENGTH || !mayBeKnown(start, end)) return;
  if (!literals.came(b, start, end) || isCredential(kind, nameBuffer, nameStart, nameEnd)) return;
  const behindName = nameEnd - nameStart;
  // Memory of its own: a piece of the runtime's pool would keep all 64 KiB of it, for each literal.
  const buffer = Buffer.allocUnsafeSlow(behindName + valueEnd - valueStart);
  nameBuffer.copy(buffer, 0, nameStart, nameEnd);
  valueBuffer.copy(buffer, behindName, valueStart, valueEnd);
  literals.remember(kind, tableEntry(buffer, behindName, buffer.length, kind), b, start, end);
}

function mayBeKnown(start: number, end: number): boolean {
  const length = end - start;
  return length >= MIN_KNOWN_BYTES && length <= MAX_KNOWN_BYTES;
}
