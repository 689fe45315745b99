import { equalsIgnoreCase } from '../field-names.ts';
import { FieldId, type LastingField } from '../message.ts';
import { hashBytes, indexOfByte, wordsOf } from '../words.ts';

/** A field line that came before, `name: value` and its line end: it need not be cut, checked and looked up again. */
export interface KnownLine {
  readonly id: FieldId;
  readonly field: LastingField;
  /** Bytes of the line, line end included. */
  readonly length: number;
  /** The bytes themselves, by four, and the last four. */
  readonly words: Int32Array;
  readonly lastWord: number;
  /** Where it is remembered. */
  slot: number;
  /** Slot of the known line that came behind it last; -1: none did. Heads of one app are much the same, so that line is looked for first. */
  next: number;
}

/** Lines that are remembered, a power of two: those of a few apps and their clients. They are the process's, not a connection's: what one client sends, the others send as well. */
const SLOTS = 256;
/** Remembered hashes of lines that came once. A power of two. */
const SEEN = 1024;
/** Longer lines seldom come again. With the number of slots it bounds the memory: 64 KiB. */
const MAX_LINE = 128;
/** `: ` and the line end. */
const SEPARATORS = 4;

const CR = 13;
const SPACE = 32;

/** Values that are none of a later look's business. */
const CREDENTIALS = ['authorization', 'set-cookie'].map((name) => Buffer.from(name));

const lines: (KnownLine | undefined)[] = Array.from({ length: SLOTS });
/** Hashes of lines that came once: identifiers and dates of single messages push nothing out. */
const seen = new Int32Array(SEEN);

/**
 * The line that begins at `b[start]`, if it came before; it lies before `end` then. Only the head's own line ends are looked for: what else may be wrong with a line, no
 * known line has.
 * @param guess slot of the line that is looked for first; -1: none
 */
export function knownLine(b: Buffer, start: number, end: number, guess: number): KnownLine | undefined {
  const words = wordsOf(b);
  const guessed = guess < 0 ? undefined : lineAt(guess, words, start, end);
  if (guessed !== undefined) return guessed;
  const behind = indexOfByte(b, CR, start, end) + 2;
  if (behind - start > MAX_LINE || behind - start < SEPARATORS || behind > end) return undefined;
  const slot = slotOf(hashBytes(b, start, behind));
  return lineAt(slot, words, start, end) ?? lineAt(slot + 1, words, start, end);
}

function lineAt(slot: number, there: DataView, start: number, end: number): KnownLine | undefined {
  const line = lines[slot];
  return line !== undefined && isAt(line, there, start, end) ? line : undefined;
}

function isAt({ words, length, lastWord }: KnownLine, there: DataView, start: number, end: number): boolean {
  if (start + length > end) return false;
  for (let i = 0; i < words.length; i++) if (there.getInt32(start + 4 * i, true) !== words[i]) return false;
  return there.getInt32(start + length - 4, true) === lastWord;
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
  const hash = hashBytes(b, nameStart, nameStart + length);
  if (seen[hash & (SEEN - 1)] !== hash) {
    seen[hash & (SEEN - 1)] = hash;
    return;
  }
  if (id === FieldId.cookie || CREDENTIALS.some((name) => equalsIgnoreCase(b, nameStart, nameEnd, name)))
    return;
  const end = nameEnd - nameStart;
  // Memory of its own: a piece of the runtime's pool would keep all 64 KiB of it, for each line.
  const buffer = Buffer.allocUnsafeSlow(length - SEPARATORS);
  b.copy(buffer, 0, nameStart, nameEnd);
  b.copy(buffer, end, valueStart, valueEnd);
  const field = { buffer, nameStart: 0, nameEnd: end, valueEnd: buffer.length, hash: 0, index: 0 };
  remember(slotOf(hash), knownAs(id, field, b.subarray(nameStart, nameStart + length)));
}

/** The first of two slots that a line may have: two of one head that meet there would push each other out again and again. */
function slotOf(hash: number): number {
  return hash & (SLOTS - 2);
}

function remember(slot: number, line: KnownLine): void {
  const older = lines[slot];
  if (older !== undefined) {
    older.slot = slot + 1;
    lines[slot + 1] = older;
  }
  line.slot = slot;
  lines[slot] = line;
}

function knownAs(id: FieldId, field: LastingField, bytes: Buffer): KnownLine {
  const { length } = bytes;
  const words = new Int32Array(length >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(4 * i);
  return { id, field, length, words, lastWord: bytes.readInt32LE(length - 4), slot: -1, next: -1 };
}
