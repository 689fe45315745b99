import { equalBytes } from '../bytes/bytes.ts';
import { isHopByHop, isIsthmusField } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import { lastingField, lastingOf } from '../message/lasting-field.ts';
import type { HeadSpan, LastingField } from '../message/lasting-field.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { ENTRY_OVERHEAD, Kind, STATIC_LENGTH, staticEntry } from './hpack-table.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const METHOD = latin1(':method');
const PATH = latin1(':path');
const AUTHORITY = latin1(':authority');
const SCHEME = latin1(':scheme');
const HTTP: HeadSpan = { buffer: latin1('http'), start: 0, end: 4, origin: undefined };
const ROOT: HeadSpan = { buffer: latin1('/'), start: 0, end: 1, origin: undefined };
const CONNECT = latin1('CONNECT');
/** Three digits. */
const STATUSES = 1000;
/**
 * By their values; those of the static table are a byte each. As long as it will ever be, since V8 makes an array that
 * grows by single high indices a hash table.
 */
const statusFields: (LastingField | undefined)[] = Array.from({ length: STATUSES });

/**
 * A field of the static table that nearly every request has: comparing a few bytes costs a fraction of finding them by
 * a hash over name and value.
 */
interface UsualField {
  readonly field: LastingField;
  readonly value: Buffer;
}
const usualMethods: UsualField[] = [];
const usualSchemes: UsualField[] = [];
for (let i = 1; i <= STATIC_LENGTH; i++) {
  const field = staticEntry(i)!;
  const value = field.buffer.subarray(field.nameEnd);
  if (field.kind === Kind.status) statusFields[Number(value.toString('latin1'))] = field;
  else if (field.kind === Kind.method) usualMethods.push({ field, value });
  else if (field.kind === Kind.scheme) usualSchemes.push({ field, value });
}

/** Which pseudo-headers a head has (RFC 9113 section 8.3). */
export type EncodedKind = 'request' | 'response' | 'trailers';

/** Encodes heads into header blocks: pseudo-headers first, fields of the connection left out. */
export class HeadEncoder {
  readonly #hpack = new HpackEncoder();
  readonly #isthmus: boolean;

  /** `isthmus`: the peer takes our pseudo-headers; for others they are left out. */
  constructor(isthmus: boolean) {
    this.#isthmus = isthmus;
  }

  setTableLimit(size: number): void {
    this.#hpack.setLimit(size);
  }

  /** Encodes into `out` from `at`, where there is room of `blockBound`. Every block must be sent, in this order. @returns where the block ends */
  encode(kind: EncodedKind, head: Head, out: Buffer, at: number): number {
    this.#hpack.begin(out, at);
    if (kind === 'request') this.#request(head);
    else if (kind === 'response')
      this.#hpack.lasting((statusFields[head.status] ??= lastingField(':status', String(head.status))));
    this.#fields(head);
    return this.#hpack.position;
  }

  #request(head: Head): void {
    const { method } = head;
    this.#usualSpan(usualMethods, METHOD, method);
    const connect = equalBytes(method.buffer, method.start, method.end, CONNECT);
    if (!connect)
      this.#usualSpan(usualSchemes, SCHEME, head.scheme.end > head.scheme.start ? head.scheme : HTTP);
    if (connect || head.authority.end > head.authority.start) this.#span(AUTHORITY, head.authority);
    if (!connect) this.#span(PATH, head.path.end > head.path.start ? head.path : ROOT);
    if (this.#isthmus)
      for (let i = 0; i < head.count; i++) if (isIsthmusField(idAt(head, i))) this.#field(head, i);
  }

  #fields(head: Head): void {
    for (let i = 0; i < head.count; i++) {
      const id = idAt(head, i);
      // `te` was checked to be `trailers`, the only value that HTTP/2 knows.
      if (id === FieldId.upgrade && this.#isthmus) this.#field(head, i);
      if (id === FieldId.host || isHopByHop(id) || isIsthmusField(id)) continue;
      this.#field(head, i);
    }
  }

  #field(head: Head, i: number): void {
    const lasting = head.sensitive[i] === 1 ? undefined : head.lasting(i);
    if (lasting !== undefined) return this.#hpack.lasting(lasting);
    this.#hpack.field(
      head.sensitive[i] === 1,
      head.nameBuffer[i]!,
      head.nameStart[i]!,
      head.nameEnd[i]!,
      head.valueBuffer[i]!,
      head.valueStart[i]!,
      head.valueEnd[i]!,
    );
  }

  #usualSpan(usual: readonly UsualField[], name: Buffer, span: HeadSpan): void {
    const { buffer, start, end } = span;
    for (const { field, value } of usual)
      if (equalBytes(buffer, start, end, value)) return this.#hpack.lasting(field);
    this.#span(name, span);
  }

  #span(name: Buffer, span: HeadSpan): void {
    const lasting = lastingOf(span);
    if (lasting !== undefined) return this.#hpack.lasting(lasting);
    this.#hpack.field(false, name, 0, name.length, span.buffer, span.start, span.end);
  }
}

/** Size of a head as the peer's MAX_HEADER_LIST_SIZE counts it; a little more, since what is left out is counted, too. */
export function headerListSize(head: Head): number {
  const { method, path, authority, scheme } = head;
  let n = method.end - method.start + path.end - path.start + authority.end - authority.start;
  n += scheme.end - scheme.start + 4 * (ENTRY_OVERHEAD + PSEUDO_NAME);
  for (let i = 0; i < head.count; i++) {
    n += head.nameEnd[i]! - head.nameStart[i]! + head.valueEnd[i]! - head.valueStart[i]! + ENTRY_OVERHEAD;
  }
  return n;
}

/** Longest name of a pseudo-header of RFC 9113. */
const PSEUDO_NAME = 10;

/** Bytes that a block never exceeds. A field's encoding is never longer than its size in the list; beside it there may be two changes of the table's size. */
export function blockBound(listSize: number): number {
  return listSize + 16;
}

function idAt(head: Head, i: number): FieldId {
  return head.id[i]! as FieldId;
}
