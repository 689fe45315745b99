import type { LastingField } from '../message/lasting-field.ts';
import {
  DynamicTable,
  STATIC_LENGTH,
  TABLE_SIZE,
  hashName,
  hashOf,
  hashValue,
  staticEntry,
} from './hpack-table.ts';
import type { TableEntry } from './hpack-table.ts';

/** Longer values are not worth a place in the table: they would push out everything that repeats. */
const MAX_INSERTED_VALUE = 512;
/** Remembered hashes of fields that were sent once. A power of two. */
const SEEN = 1024;

/** Credentials stay out of the tables (RFC 7541 section 7.1.3). */
const AUTHORIZATION = 23;

/** Slots of the static table by the hash of fields and of names: enough that no two of its entries meet. A power of two. */
const STATIC_SLOTS = 4096;
const staticByField = new Uint8Array(STATIC_SLOTS);
const staticByName = new Uint8Array(STATIC_SLOTS);
for (let i = STATIC_LENGTH; i > 0; i--) {
  const entry = staticEntry(i)!;
  staticByField[entry.hash & (STATIC_SLOTS - 1)] = i;
  staticByName[hashName(entry.buffer, entry.nameStart, entry.nameEnd) & (STATIC_SLOTS - 1)] = i;
}

/** Slots of the dynamic table by the hash of a field, a power of two: four for each entry that it can hold. */
const NUMBERS = 512;

/**
 * Encodes header blocks (RFC 7541). A field enters the table when it is seen for the second time: ids and dates of single messages don't push out what repeats.
 * Strings are not Huffman-coded: between proxies CPU is dearer than the bytes.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable();
  /** Numbers of entries, from 0; where a slot is empty it says -1. */
  readonly #numbers = new Int32Array(NUMBERS).fill(-1);
  readonly #seen = new Int32Array(SEEN);
  /** Smallest and last size to tell the peer at the start of the next block; -1: none. */
  #smallest = -1;
  #announced = TABLE_SIZE;
  #out: Buffer = Buffer.alloc(0);
  #at = 0;

  /** End of what was written. */
  get position(): number {
    return this.#at;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setLimit(size: number): void {
    const max = Math.min(size, TABLE_SIZE);
    if (max === this.#table.max) return;
    this.#smallest = this.#smallest < 0 ? max : Math.min(this.#smallest, max);
    this.#table.setMax(max);
  }

  /** Begins a block in `out` at `at`; the caller has made room (the fields' sizes plus 16 bytes each). */
  begin(out: Buffer, at: number): void {
    this.#out = out;
    this.#at = at;
    if (this.#smallest < 0) return;
    if (this.#smallest < this.#table.max) this.#integer(0x20, 31, this.#smallest);
    if (this.#table.max !== this.#announced || this.#smallest < this.#table.max)
      this.#integer(0x20, 31, this.#table.max);
    this.#announced = this.#table.max;
    this.#smallest = -1;
  }

  /** Writes a field whose bytes never change. One that was found in the table before is known by where it lies. */
  lasting(field: LastingField): void {
    if (field.index > 0) {
      this.#integer(0x80, 127, field.index);
      return;
    }
    const hash = hashOf(field);
    const number = this.#numbers[hash & (NUMBERS - 1)]!;
    const entry = this.#table.byNumber(number);
    const { buffer, nameStart, nameEnd, valueEnd } = field;
    if (entry === undefined || entry.twin !== buffer || entry.twinStart !== nameStart) {
      if (
        entry === undefined ||
        entry.hash !== hash ||
        !isField(entry, buffer, nameStart, nameEnd, buffer, nameEnd, valueEnd)
      ) {
        this.field(false, buffer, nameStart, nameEnd, buffer, nameEnd, valueEnd);
        return;
      }
      entry.twin = buffer;
      entry.twinStart = nameStart;
    }
    this.#integer(0x80, 127, STATIC_LENGTH + this.#table.next - number);
  }

  /** Writes a field; a name in any case goes out in lower case. */
  field(
    sensitive: boolean,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void {
    const nameHash = hashName(nameBuffer, nameStart, nameEnd);
    const hash = hashValue(nameHash, valueBuffer, valueStart, valueEnd);
    if (!sensitive) {
      const index = this.#fieldIndex(hash, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
      if (index > 0) {
        this.#integer(0x80, 127, index);
        return;
      }
    }
    const nameIndex = staticNameIndex(nameHash, nameBuffer, nameStart, nameEnd);
    let first = 0;
    let mask = 15;
    if (sensitive || nameIndex === AUTHORIZATION) first = 0x10;
    else if (this.#seenBefore(hash) && valueEnd - valueStart <= MAX_INSERTED_VALUE) {
      first = 0x40;
      mask = 63;
      this.#insert(hash, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
    }
    this.#literal(first, mask, nameIndex, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
  }

  #seenBefore(hash: number): boolean {
    const slot = hash & (SEEN - 1);
    if (this.#seen[slot] === hash) return true;
    this.#seen[slot] = hash;
    return false;
  }

  #insert(
    hash: number,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void {
    const number = this.#table.next;
    if (this.#table.insert(nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd, 0, false, hash))
      this.#numbers[hash & (NUMBERS - 1)] = number;
  }

  #fieldIndex(
    hash: number,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): number {
    // What was evicted, or overwritten by a field of the same slot, is found out here: the entry's hash and bytes decide.
    const number = this.#numbers[hash & (NUMBERS - 1)]!;
    const entry = this.#table.byNumber(number);
    if (
      entry !== undefined &&
      entry.hash === hash &&
      isField(entry, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd)
    ) {
      return STATIC_LENGTH + this.#table.next - number;
    }
    const index = staticByField[hash & (STATIC_SLOTS - 1)]!;
    if (index === 0) return 0;
    const known = staticEntry(index)!;
    return known.hash === hash &&
      isField(known, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd)
      ? index
      : 0;
  }

  #literal(
    first: number,
    mask: number,
    nameIndex: number,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): void {
    this.#integer(first, mask, nameIndex);
    if (nameIndex === 0) {
      this.#integer(0, 127, nameEnd - nameStart);
      for (let i = nameStart; i < nameEnd; i++) {
        const c = nameBuffer[i]!;
        this.#out[this.#at++] = c >= 65 && c <= 90 ? c | 32 : c;
      }
    }
    this.#integer(0, 127, valueEnd - valueStart);
    if (valueEnd - valueStart > 64) {
      this.#at += valueBuffer.copy(this.#out, this.#at, valueStart, valueEnd);
      return;
    }
    for (let i = valueStart; i < valueEnd; i++) this.#out[this.#at++] = valueBuffer[i]!;
  }

  #integer(first: number, mask: number, value: number): void {
    const out = this.#out;
    if (value < mask) {
      out[this.#at++] = first | value;
      return;
    }
    out[this.#at++] = first | mask;
    let rest = value - mask;
    while (rest >= 128) {
      out[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    out[this.#at++] = rest;
  }
}

function isField(
  entry: TableEntry,
  nameBuffer: Buffer,
  nameStart: number,
  nameEnd: number,
  valueBuffer: Buffer,
  valueStart: number,
  valueEnd: number,
): boolean {
  const length = valueEnd - valueStart;
  if (entry.valueEnd - entry.nameEnd !== length) return false;
  for (let i = 0; i < length; i++)
    if (entry.buffer[entry.nameEnd + i] !== valueBuffer[valueStart + i]) return false;
  return isName(entry, nameBuffer, nameStart, nameEnd);
}

function staticNameIndex(hash: number, name: Buffer, start: number, end: number): number {
  const index = staticByName[hash & (STATIC_SLOTS - 1)]!;
  return index > 0 && isName(staticEntry(index)!, name, start, end) ? index : 0;
}

function isName(entry: TableEntry, nameBuffer: Buffer, nameStart: number, nameEnd: number): boolean {
  const length = nameEnd - nameStart;
  if (entry.nameEnd - entry.nameStart !== length) return false;
  for (let i = 0; i < length; i++) {
    let c = nameBuffer[nameStart + i]!;
    if (c >= 65 && c <= 90) c |= 32;
    if (entry.buffer[entry.nameStart + i] !== c) return false;
  }
  return true;
}
