import { decodeHuffman, maxDecodedLength } from './huffman.ts';
import { DynamicTable, STATIC_LENGTH, TABLE_SIZE, isHttp2Value, kindOf, staticEntry } from './hpack-table.ts';
import type { TableEntry } from './hpack-table.ts';
import { knownLiteral, rememberLiteral, type KnownLiteral } from './known-literals.ts';

/** Takes the decoded fields. The bytes are only valid until the next block is decoded. */
export interface FieldTarget {
  field(
    kind: number,
    badValue: boolean,
    sensitive: boolean,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
    /** The entry that the field is, where it is one. */
    entry: TableEntry | undefined,
  ): void;
}

/** Bytes of one encoded block, CONTINUATION included: what `MAX_HEAD_BYTES` allows decoded is never longer encoded. */
export const MAX_BLOCK_BYTES = 64 * 1024;

/** Huffman-coded strings of the block that is being decoded. Shared by all connections: blocks are decoded one at a time. */
const scratch = Buffer.allocUnsafeSlow(maxDecodedLength(MAX_BLOCK_BYTES) + 8);
let scratchUsed = 0;

/** Decodes header blocks (RFC 7541). A block that fails leaves the connection without a common state: it has to end (COMPRESSION_ERROR). */
export class HpackDecoder {
  readonly #table = new DynamicTable();
  #b: Buffer = scratch;
  #at = 0;
  #end = 0;
  /** The string that was read last. */
  #stringBuffer: Buffer = scratch;
  #stringStart = 0;
  #stringEnd = 0;

  /** False: malformed. */
  decode(b: Buffer, start: number, end: number, target: FieldTarget): boolean {
    if (end - start > MAX_BLOCK_BYTES) return false;
    scratchUsed = 0;
    this.#b = b;
    this.#at = start;
    this.#end = end;
    let updatesAllowed = true;
    while (this.#at < end) {
      const c = b[this.#at]!;
      if ((c & 0xe0) === 0x20) {
        if (!updatesAllowed || !this.#sizeUpdate()) return false;
        continue;
      }
      updatesAllowed = false;
      if (!((c & 0x80) === 0 ? this.#literal(c, target) : this.#indexed(target))) return false;
    }
    return true;
  }

  #sizeUpdate(): boolean {
    const size = this.#integer(31);
    if (size < 0 || size > TABLE_SIZE) return false;
    this.#table.setMax(size);
    return true;
  }

  #indexed(target: FieldTarget): boolean {
    const entry = this.#entry(this.#integer(127));
    if (entry === undefined) return false;
    this.#emit(entry, target);
    return true;
  }

  #emit(entry: TableEntry, target: FieldTarget): void {
    const { buffer, nameStart, nameEnd, valueEnd } = entry;
    const { kind, badValue } = entry;
    target.field(kind, badValue, false, buffer, nameStart, nameEnd, buffer, nameEnd, valueEnd, entry);
  }

  #literal(c: number, target: FieldTarget): boolean {
    const start = this.#at;
    const insert = (c & 0x40) !== 0;
    const sensitive = (c & 0xf0) === 0x10;
    const index = this.#integer(insert ? 63 : 15);
    if (index < 0) return false;
    const known = sensitive ? undefined : this.#known(start, index);
    if (known !== undefined) {
      if (insert) this.#table.insertLasting(known.field);
      this.#emit(known.field, target);
      return true;
    }
    let kind: number;
    if (index > 0) {
      const entry = this.#entry(index);
      if (entry === undefined) return false;
      kind = entry.kind;
      this.#stringBuffer = entry.buffer;
      this.#stringStart = entry.nameStart;
      this.#stringEnd = entry.nameEnd;
    } else {
      if (!this.#string()) return false;
      kind = kindOf(this.#stringBuffer, this.#stringStart, this.#stringEnd);
    }
    const nameBuffer = this.#stringBuffer;
    const nameStart = this.#stringStart;
    const nameEnd = this.#stringEnd;
    if (!this.#string()) return false;
    const valueBuffer = this.#stringBuffer;
    const valueStart = this.#stringStart;
    const valueEnd = this.#stringEnd;
    const bad = !isHttp2Value(valueBuffer, valueStart, valueEnd);
    if (insert)
      this.#table.insert(nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd, kind, bad, 0);
    if (!bad && !sensitive)
      rememberLiteral(
        this.#b,
        start,
        this.#at,
        index,
        kind,
        nameBuffer,
        nameStart,
        nameEnd,
        valueBuffer,
        valueStart,
        valueEnd,
      );
    target.field(
      kind,
      bad,
      sensitive,
      nameBuffer,
      nameStart,
      nameEnd,
      valueBuffer,
      valueStart,
      valueEnd,
      undefined,
    );
    return true;
  }

  #entry(index: number): TableEntry | undefined {
    if (index <= 0) return undefined;
    return index <= STATIC_LENGTH ? staticEntry(index) : this.#table.at(index - STATIC_LENGTH - 1);
  }

  /** RFC 7541 section 5.1; -1: malformed. Four continuation bytes hold more than any length that is allowed. */
  #integer(mask: number): number {
    let value = this.#b[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const c = this.#b[this.#at++]!;
      value += (c & 127) << shift;
      if (c < 128) return value;
    }
    return -1;
  }

  /** The literal from `start` on, if it came before: it is read to its end then. Its index has been read. */
  #known(start: number, index: number): KnownLiteral | undefined {
    const behindIndex = this.#at;
    const whole = (index > 0 || this.#skipString()) && this.#skipString();
    const known = whole ? knownLiteral(this.#b, start, this.#at) : undefined;
    if (known === undefined) this.#at = behindIndex;
    return known;
  }

  /** False: it does not end in the block. */
  #skipString(): boolean {
    if (this.#at >= this.#end) return false;
    const length = this.#integer(127);
    this.#at += length;
    return length >= 0 && this.#at <= this.#end;
  }

  /** Strings that are not coded stay where they are. */
  #string(): boolean {
    if (this.#at >= this.#end) return false;
    const coded = (this.#b[this.#at]! & 0x80) !== 0;
    const length = this.#integer(127);
    const start = this.#at;
    const end = start + length;
    if (length < 0 || end > this.#end) return false;
    this.#at = end;
    if (!coded) {
      this.#stringBuffer = this.#b;
      this.#stringStart = start;
      this.#stringEnd = end;
      return true;
    }
    const decoded = decodeHuffman(this.#b, start, end, scratch, scratchUsed);
    if (decoded < 0) return false;
    this.#stringBuffer = scratch;
    this.#stringStart = scratchUsed;
    this.#stringEnd = decoded;
    scratchUsed = decoded;
    return true;
  }
}
