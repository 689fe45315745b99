import { DynamicTable, STATIC_LENGTH, TABLE_SIZE, hashField, hashName, staticEntry } from './hpack-table.ts';
import type { TableEntry } from './hpack-table.ts';

/** Longer values are not worth a place in the table: they would push out everything that repeats. */
const MAX_INSERTED_VALUE = 512;
/** Remembered hashes of fields that were sent once. A power of two. */
const SEEN = 1024;

/** Credentials stay out of the tables (RFC 7541 section 7.1.3). */
const AUTHORIZATION = 23;

const staticByField = new Map<number, number>();
const staticByName = new Map<number, number>();
for (let i = STATIC_LENGTH; i > 0; i--) {
  const entry = staticEntry(i)!;
  staticByField.set(entry.hash, i);
  staticByName.set(hashName(entry.buffer, entry.nameStart, entry.nameEnd), i);
}

/**
 * Encodes header blocks (RFC 7541). A field enters the table when it is seen for the second time: ids and dates of single messages don't push out what repeats.
 * Strings are not Huffman-coded: between proxies CPU is dearer than the bytes.
 */
export class HpackEncoder {
  readonly #table = new DynamicTable();
  readonly #numbers = new Map<number, number>();
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
    const nameIndex = this.#nameIndex(nameBuffer, nameStart, nameEnd);
    if (sensitive || nameIndex === AUTHORIZATION) {
      this.#literal(0x10, 15, nameIndex, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
      return;
    }
    const hash = hashField(nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
    const index = this.#fieldIndex(hash, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
    if (index > 0) {
      this.#integer(0x80, 127, index);
      return;
    }
    const slot = hash & (SEEN - 1);
    if (this.#seen[slot] !== hash || valueEnd - valueStart > MAX_INSERTED_VALUE) {
      this.#seen[slot] = hash;
      this.#literal(0, 15, nameIndex, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
      return;
    }
    this.#literal(0x40, 63, nameIndex, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
    this.#insert(hash, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd);
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
    if (
      !this.#table.insert(nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd, 0, false, hash)
    )
      return;
    this.#numbers.set(hash, number);
    // Entries that were evicted are found out when they are looked up; now and then all of them go.
    if (this.#numbers.size <= MAX_STALE) return;
    for (const [h, n] of this.#numbers) if (this.#table.byNumber(n) === undefined) this.#numbers.delete(h);
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
    const number = this.#numbers.get(hash);
    if (number !== undefined) {
      const entry = this.#table.byNumber(number);
      if (
        entry !== undefined &&
        isField(entry, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd)
      ) {
        return STATIC_LENGTH + this.#table.next - number;
      }
    }
    const index = staticByField.get(hash);
    if (index === undefined) return 0;
    const entry = staticEntry(index)!;
    return isField(entry, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd) ? index : 0;
  }

  #nameIndex(nameBuffer: Buffer, nameStart: number, nameEnd: number): number {
    const index = staticByName.get(hashName(nameBuffer, nameStart, nameEnd));
    return index !== undefined && isName(staticEntry(index)!, nameBuffer, nameStart, nameEnd) ? index : 0;
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

/** Hashes kept of entries that may have been evicted, before they are swept: twice what a table holds. */
const MAX_STALE = 256;

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
