import { isCredential, KnownBytes, MAX_KNOWN_BYTES, type Known } from '../message/known-bytes.ts';
import type { FieldId } from '../message/field-id.ts';
import type { LastingField } from '../message/lasting-field.ts';
import { indexOfByte, wordsOf } from '../bytes/words.ts';

/** A field line that came before, `name: value` and its line end. */
export type KnownLine = Known<LastingField, FieldId>;

/** `: ` and the line end. */
const SEPARATORS = 4;

const CR = 13;
const SPACE = 32;

const lines = new KnownBytes<LastingField, FieldId>();

/**
 * The line that begins at `b[start]`, if it came before; it lies before `end` then. Only the head's own line ends are
 * looked for: what else may be wrong with a line, no known line has.
 * @param guess slot of the line that is looked for first; -1: none
 */
export function knownLine(b: Buffer, start: number, end: number, guess: number): KnownLine | undefined {
  const guessed = guess < 0 ? undefined : lines.at(guess, wordsOf(b), start, end);
  if (guessed !== undefined) return guessed;
  const behind = indexOfByte(b, CR, start, end) + 2;
  if (behind - start > MAX_KNOWN_BYTES || behind - start < SEPARATORS || behind > end) return undefined;
  return lines.find(b, start, behind);
}

/**
 * Remembers a sound line when it comes for the second time. The caller vouches that the line means the same in every
 * message, by its bytes alone: one that frames a message is not for here.
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
  if (
    length > MAX_KNOWN_BYTES ||
    valueStart !== nameEnd + 2 ||
    b[nameEnd + 1] !== SPACE ||
    b[valueEnd] !== CR
  )
    return;
  const lineEnd = nameStart + length;
  if (!lines.came(b, nameStart, lineEnd) || isCredential(id, b, nameStart, nameEnd)) return;
  const end = nameEnd - nameStart;
  // Memory of its own: a piece of the runtime's pool would keep all of it, for each line.
  const buffer = Buffer.allocUnsafeSlow(length - SEPARATORS);
  b.copy(buffer, 0, nameStart, nameEnd);
  b.copy(buffer, end, valueStart, valueEnd);
  const field = { buffer, nameStart: 0, nameEnd: end, valueEnd: buffer.length, hash: 0, index: 0 };
  lines.remember(id, field, b, nameStart, lineEnd);
}
