import { equalsIgnoreCase } from './field-names.ts';
import { FieldId } from './field-id.ts';
import type { LastingField } from './lasting-field.ts';
import { hashBytes, wordsOf } from '../bytes/words.ts';

/** Bytes that came before, and the field that they mean: it need not be cut, checked and looked up again. */
export interface Known<F extends LastingField, I extends number = number> {
  /** What its name is: a `FieldId`, or what else a codec tells names by. */
  readonly id: I;
  readonly field: F;
  /** Number of the bytes. */
  readonly length: number;
  /** The bytes themselves, by four, and the last four. */
  readonly words: Int32Array;
  readonly lastWord: number;
  /** Where it is remembered. */
  slot: number;
  /** Slot of what came behind it last; -1: nothing did. Heads of one app are much the same, so that is looked for first. */
  next: number;
}

/**
 * How many are remembered, a power of two: those of a few apps and their clients. They are the process's, not a
 * connection's: what one client sends, the others send as well.
 */
const SLOTS = 256;
/** Remembered hashes of what came once. A power of two. */
const SEEN = 1024;
/** Longer bytes seldom come again. With the number of slots it bounds the memory: 64 KiB, twice as much where the bytes are coded. */
export const MAX_KNOWN_BYTES = 128;
/** They are looked at four at a time. */
export const MIN_KNOWN_BYTES = 4;

/** Remembers what bytes mean, from their second coming on: identifiers and dates of single messages push nothing out. */
export class KnownBytes<F extends LastingField, I extends number = number> {
  readonly #known: (Known<F, I> | undefined)[] = Array.from({ length: SLOTS });
  readonly #seen = new Int32Array(SEEN);

  /** What stands in the slot, if it is what the bytes from `start` on are. `there`: the words of their buffer. */
  at(slot: number, there: DataView, start: number, end: number): Known<F, I> | undefined {
    const known = this.#known[slot];
    return known !== undefined && isAt(known, there, start, end) ? known : undefined;
  }

  /** What `b[start, end)` is, of at least `MIN_KNOWN_BYTES`. */
  find(b: Buffer, start: number, end: number): Known<F, I> | undefined {
    const slot = slotOf(hashBytes(b, start, end));
    const there = wordsOf(b);
    return this.at(slot, there, start, end) ?? this.at(slot + 1, there, start, end);
  }

  /** `b[start, end)` has come. @returns whether it should be remembered: it came before */
  came(b: Buffer, start: number, end: number): boolean {
    const hash = hashBytes(b, start, end);
    const before = this.#seen[hash & (SEEN - 1)] === hash;
    this.#seen[hash & (SEEN - 1)] = hash;
    return before;
  }

  /** `b[start, end)`, which need not last, means the field. */
  remember(id: I, field: F, b: Buffer, start: number, end: number): void {
    const slot = slotOf(hashBytes(b, start, end));
    const older = this.#known[slot];
    if (older !== undefined) {
      older.slot = slot + 1;
      this.#known[slot + 1] = older;
    }
    this.#known[slot] = knownAs(id, field, b.subarray(start, end), slot);
  }
}

const CREDENTIALS = ['authorization', 'set-cookie'].map((name) => Buffer.from(name));

/** Values that are none of a later look's business. */
export function isCredential(id: number, b: Buffer, nameStart: number, nameEnd: number): boolean {
  if (id === FieldId.cookie || id === FieldId.proxyAuthorization) return true;
  return CREDENTIALS.some((name) => equalsIgnoreCase(b, nameStart, nameEnd, name));
}

/** The first of two slots that bytes may have: two fields of one head that meet there would push each other out again and again. */
function slotOf(hash: number): number {
  return hash & (SLOTS - 2);
}

function isAt(
  { words, length, lastWord }: Known<LastingField>,
  there: DataView,
  start: number,
  end: number,
): boolean {
  if (start + length > end) return false;
  for (let i = 0; i < words.length; i++) if (there.getInt32(start + 4 * i, true) !== words[i]) return false;
  return there.getInt32(start + length - 4, true) === lastWord;
}

function knownAs<F extends LastingField, I extends number>(
  id: I,
  field: F,
  bytes: Buffer,
  slot: number,
): Known<F, I> {
  const { length } = bytes;
  const words = new Int32Array(length >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(4 * i);
  return { id, field, length, words, lastWord: bytes.readInt32LE(length - 4), slot, next: -1 };
}
