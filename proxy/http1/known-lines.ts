import { equalsIgnoreCase } from '../field-names.ts';
import { FieldId, type LastingField } from '../message.ts';

/** A field line that came before, `name: value` and its line end: it need not be cut, checked and looked up again. */
export interface KnownLine {
  readonly id: FieldId;
  readonly field: LastingField;
  /** Bytes of the line, line end included. */
  readonly length: number;
}

/** Lines that are remembered, a power of two: those of a few apps and their clients. They are the process's, not a connection's: what one client sends, the others send as well. */
const SLOTS = 256;
/** Longer lines seldom come again. With the number of slots it bounds the memory: 32 KiB. */
const MAX_LINE = 128;
/** `: ` and the line end. */
const SEPARATORS = 4;

const CR = 13;
const LF = 10;
const SPACE = 32;
const COLON = 58;

/** Values that are none of a later look's business. */
const CREDENTIALS = ['authorization', 'set-cookie'].map((name) => Buffer.from(name));

const lines: (KnownLine | undefined)[] = Array.from({ length: SLOTS });
/** Hashes of lines that came once: identifiers and dates of single messages push nothing out. */
const seen = new Int32Array(SLOTS);

/**
 * The line that begins at `b[start]`, if it came before; it lies before `end` then. Only the head's own line ends are looked for: what else may be wrong with a line, no
 * known line has.
 */
export function knownLine(b: Buffer, start: number, end: number): KnownLine | undefined {
  let cr = start;
  while (cr < end && b[cr] !== CR) cr++;
  const line = lines[hashOf(b, start, cr) & (SLOTS - 1)];
  if (line === undefined || line.length !== cr + 2 - start || cr + 2 > end) return undefined;
  const { buffer, nameEnd, valueEnd } = line.field;
  for (let i = 0; i < nameEnd; i++) if (b[start + i] !== buffer[i]) return undefined;
  const colon = start + nameEnd;
  if (b[colon] !== COLON || b[colon + 1] !== SPACE || b[cr + 1] !== LF) return undefined;
  for (let i = nameEnd; i < valueEnd; i++) if (b[start + 2 + i] !== buffer[i]) return undefined;
  return line;
}

/**
 * Remembers a sound line when it comes for the second time. The caller vouches that the field means the same in every message: one that frames it, or that a
 * connection keeps to itself, is not for here.
 */
export function rememberLine(
  id: FieldId,
  b: Buffer,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): void {
  const length = nameEnd - nameStart + valueEnd - valueStart + SEPARATORS;
  // White space in another way than nearly everybody writes it.
  if (length > MAX_LINE || valueStart !== nameEnd + 2 || b[nameEnd + 1] !== SPACE || b[valueEnd] !== CR)
    return;
  const hash = hashOf(b, nameStart, valueEnd);
  const slot = hash & (SLOTS - 1);
  if (seen[slot] !== hash) {
    seen[slot] = hash;
    return;
  }
  if (id === FieldId.cookie || CREDENTIALS.some((name) => equalsIgnoreCase(b, nameStart, nameEnd, name)))
    return;
  const buffer = Buffer.concat([b.subarray(nameStart, nameEnd), b.subarray(valueStart, valueEnd)]);
  const end = nameEnd - nameStart;
  const field = { buffer, nameStart: 0, nameEnd: end, valueEnd: buffer.length, hash: 0, index: 0 };
  lines[slot] = { id, field, length };
}

/** Of the length and some bytes: a line that differs elsewhere is told by the comparison. */
function hashOf(b: Buffer, start: number, cr: number): number {
  const ends = (b[cr - 1]! << 8) ^ (b[cr - 3]! << 16) ^ (b[cr - 6]! << 4);
  const hash = (Math.imul(cr - start, 0x9e3779b1) ^ ends ^ (b[start]! << 2) ^ (b[start + 4]! << 20)) | 0;
  return hash ^ (hash >>> 15) ^ (hash >>> 8);
}
