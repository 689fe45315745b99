import { equalBytes } from '../bytes/bytes.ts';
import { isFieldValue, isLowerToken } from '../bytes/characters.ts';
import { fieldIdOf } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { LastingField } from '../message/lasting-field.ts';
import { STATIC_FIELDS } from './static-table.ts';

/** What a name is: a `FieldId`, or one of these. */
export const Kind = {
  method: 64,
  path: 65,
  authority: 66,
  scheme: 67,
  status: 68,
  unknownPseudo: 69,
  malformed: 70,
} as const;

const PSEUDO: readonly (readonly [number, Buffer])[] = [
  [Kind.method, Buffer.from(':method')],
  [Kind.path, Buffer.from(':path')],
  [Kind.authority, Buffer.from(':authority')],
  [Kind.scheme, Buffer.from(':scheme')],
  [Kind.status, Buffer.from(':status')],
];
const COLON = 58;

/** Classifies a name as it came: HTTP/2 names are lower case (RFC 9113 section 8.2.1). */
export function kindOf(b: Buffer, start: number, end: number): number {
  if (b[start] !== COLON) return isLowerToken(b, start, end) ? fieldIdOf(b, start, end) : Kind.malformed;
  for (const [kind, name] of PSEUDO) {
    if (equalBytes(b, start, end, name)) return kind;
  }
  const id = fieldIdOf(b, start, end);
  // Ours are matched as they stand: another case is another name, and refused.
  return id === FieldId.other || !isLowerToken(b, start + 1, end) ? Kind.unknownPseudo : id;
}

/** RFC 9113 section 8.2.1: no control characters, no white space around the value. */
export function isHttp2Value(b: Buffer, start: number, end: number): boolean {
  if (start === end) return true;
  const first = b[start];
  const last = b[end - 1];
  if (first === 32 || first === 9 || last === 32 || last === 9) return false;
  return isFieldValue(b, start, end);
}

/** A field in a table. */
export interface TableEntry extends LastingField {
  kind: number;
  /** The value has characters that HTTP/2 forbids. */
  badValue: boolean;
  /** In a decoder's table: the value was found fit for the pseudo-header that the name is. */
  fits: boolean;
  /** In an encoder's table: where the field lay that was last found to be this one. */
  twin: Buffer | undefined;
  twinStart: number;
}

/** Number of static entries; dynamic ones follow. */
export const STATIC_LENGTH = STATIC_FIELDS.length;

/** A sound field whose name begins the buffer. */
export function tableEntry(
  buffer: Buffer,
  nameEnd: number,
  valueEnd: number,
  kind: number,
  index = 0,
): TableEntry {
  return {
    buffer,
    nameStart: 0,
    nameEnd,
    valueEnd,
    kind,
    badValue: false,
    hash: 0,
    index,
    fits: false,
    twin: undefined,
    twinStart: 0,
  };
}

const staticEntries: readonly TableEntry[] = STATIC_FIELDS.map(([name, value], i) => {
  const buffer = Buffer.from(name + value, 'latin1');
  const n = name.length;
  const entry = tableEntry(buffer, n, buffer.length, kindOf(buffer, 0, n), i + 1);
  entry.hash = hashValue(hashName(buffer, 0, n), buffer, n, buffer.length);
  return entry;
});

/** Static entry by its index from 1. */
export function staticEntry(index: number): TableEntry | undefined {
  return staticEntries[index - 1];
}

/** FNV-1a over a name (in lower case) and, if given, a value. */
export function hashName(b: Buffer, start: number, end: number): number {
  let h = -2128831035;
  for (let i = start; i < end; i++) {
    let c = b[i]!;
    if (c >= 65 && c <= 90) c |= 32;
    h = Math.imul(h ^ c, 16777619);
  }
  return h;
}

/** The hash of a field, from the one of its name. */
export function hashValue(nameHash: number, value: Buffer, start: number, end: number): number {
  let h = Math.imul(nameHash ^ COLON, 16777619);
  for (let i = start; i < end; i++) h = Math.imul(h ^ value[i]!, 16777619);
  return h;
}

/** The hash of a lasting field: computed once. */
export function hashOf(field: LastingField): number {
  if (field.hash === 0) {
    const { buffer, nameStart, nameEnd, valueEnd } = field;
    field.hash = hashValue(hashName(buffer, nameStart, nameEnd), buffer, nameEnd, valueEnd);
  }
  return field.hash;
}

/** Bytes that an entry costs beside its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;
/** Size of both tables of a connection: HTTP/2's default. Larger ones cost memory per connection and save little between proxies. */
export const TABLE_SIZE = 4096;
/** Most entries that fit, a power of two. */
const RING = TABLE_SIZE / ENTRY_OVERHEAD;
/** Bytes of an arena: room for two full tables, so that it is renewed at most once per table of insertions. */
const ARENA = 4 * TABLE_SIZE;

/**
 * A dynamic table (RFC 7541 section 2.3.2). Entries lie in an arena that is only appended to and replaced when full, so that spans that were handed out stay as
 * they are; lasting fields stay where they lie.
 */
export class DynamicTable {
  #arena: Buffer | undefined = undefined;
  #used = 0;
  readonly #ring: TableEntry[] = [];
  /** Numbers of the oldest entry and of the next one to be inserted. */
  #first = 0;
  #next = 0;
  #size = 0;
  #max = TABLE_SIZE;

  get length(): number {
    return this.#next - this.#first;
  }
  get size(): number {
    return this.#size;
  }
  get max(): number {
    return this.#max;
  }
  /** Number of the next insertion. */
  get next(): number {
    return this.#next;
  }

  /** Entry by its place, 0 the newest. */
  at(place: number): TableEntry | undefined {
    const number = this.#next - 1 - place;
    return place >= 0 && number >= this.#first ? this.#ring[number & (RING - 1)] : undefined;
  }

  /** Entry by its number; undefined when it was evicted. */
  byNumber(number: number): TableEntry | undefined {
    return this.at(this.#next - 1 - number);
  }

  setMax(max: number): void {
    this.#max = max;
    this.#evict(max);
  }

  /** Inserts a field (name in lower case); one that is larger than the table only empties it. Returns false then. */
  insert(
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
    kind: number,
    badValue: boolean,
    hash: number,
  ): boolean {
    const bytes = nameEnd - nameStart + valueEnd - valueStart;
    const cost = bytes + ENTRY_OVERHEAD;
    this.#evict(this.#max - cost);
    if (cost > this.#max) return false;
    const arena = this.#room(bytes);
    const entry = this.#slot(arena);
    entry.nameStart = this.#used;
    entry.nameEnd = this.#used + copyLower(nameBuffer, nameStart, nameEnd, arena, this.#used);
    entry.valueEnd = entry.nameEnd + valueBuffer.copy(arena, entry.nameEnd, valueStart, valueEnd);
    entry.kind = kind;
    entry.badValue = badValue;
    entry.hash = hash;
    this.#used = entry.valueEnd;
    this.#size += cost;
    return true;
  }

  /** Inserts a field that lasts. One that is larger than the table only empties it. */
  insertLasting(field: TableEntry): void {
    const { buffer, nameStart, nameEnd, valueEnd } = field;
    const cost = valueEnd - nameStart + ENTRY_OVERHEAD;
    this.#evict(this.#max - cost);
    if (cost > this.#max) return;
    const entry = this.#slot(buffer);
    entry.nameStart = nameStart;
    entry.nameEnd = nameEnd;
    entry.valueEnd = valueEnd;
    entry.kind = field.kind;
    entry.badValue = field.badValue;
    entry.hash = field.hash;
    this.#size += cost;
  }

  #slot(buffer: Buffer): TableEntry {
    const at = this.#next++ & (RING - 1);
    const entry = (this.#ring[at] ??= tableEntry(buffer, 0, 0, 0));
    entry.buffer = buffer;
    entry.fits = false;
    entry.twin = undefined;
    return entry;
  }

  #evict(limit: number): void {
    while (this.#size > limit && this.#first < this.#next) {
      const entry = this.#ring[this.#first++ & (RING - 1)]!;
      this.#size -= entry.valueEnd - entry.nameStart + ENTRY_OVERHEAD;
    }
  }

  #room(n: number): Buffer {
    if (this.#arena !== undefined && this.#used + n <= this.#arena.length) return this.#arena;
    const fresh = Buffer.allocUnsafeSlow(ARENA);
    let used = 0;
    for (let number = this.#first; number < this.#next; number++) {
      const entry = this.#ring[number & (RING - 1)]!;
      if (entry.buffer !== this.#arena) continue;
      const nameLength = entry.nameEnd - entry.nameStart;
      const length = entry.buffer.copy(fresh, used, entry.nameStart, entry.valueEnd);
      entry.buffer = fresh;
      entry.nameStart = used;
      entry.nameEnd = used + nameLength;
      used += length;
      entry.valueEnd = used;
    }
    this.#arena = fresh;
    this.#used = used;
    return fresh;
  }
}

function copyLower(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  let o = at;
  for (let i = start; i < end; i++) {
    const c = from[i]!;
    to[o++] = c >= 65 && c <= 90 ? c | 32 : c;
  }
  return end - start;
}
