import { isHopByHop, isIsthmusField } from '../field-names.ts';
import { FieldId } from '../message.ts';
import type { Head, Span } from '../message.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { ENTRY_OVERHEAD } from './hpack-table.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const METHOD = latin1(':method');
const PATH = latin1(':path');
const AUTHORITY = latin1(':authority');
const SCHEME = latin1(':scheme');
const STATUS = latin1(':status');
const HTTP: Span = { buffer: latin1('http'), start: 0, end: 4 };
const ROOT: Span = { buffer: latin1('/'), start: 0, end: 1 };
const CONNECT = latin1('CONNECT');
const statusValues: (Buffer | undefined)[] = [];

/** Encoded blocks, before they are cut into frames. Shared by all connections: blocks are encoded one at a time. */
let block = Buffer.allocUnsafeSlow(16 * 1024);

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

  /** The block is `buffer[0, length)` of the result, valid until the next one. */
  request(head: Head): { buffer: Buffer; length: number } {
    this.#hpack.begin(roomFor(head), 0);
    this.#span(METHOD, head.method);
    const connect = CONNECT.compare(head.method.buffer, head.method.start, head.method.end) === 0;
    if (!connect) this.#span(SCHEME, head.scheme.end > head.scheme.start ? head.scheme : HTTP);
    if (connect || head.authority.end > head.authority.start) this.#span(AUTHORITY, head.authority);
    if (!connect) this.#span(PATH, head.path.end > head.path.start ? head.path : ROOT);
    if (this.#isthmus)
      for (let i = 0; i < head.count; i++) if (isIsthmusField(idAt(head, i))) this.#field(head, i);
    return this.#fields(head);
  }

  response(head: Head): { buffer: Buffer; length: number } {
    this.#hpack.begin(roomFor(head), 0);
    const value = (statusValues[head.status] ??= latin1(String(head.status)));
    this.#hpack.field(false, STATUS, 0, STATUS.length, value, 0, value.length);
    return this.#fields(head);
  }

  trailers(head: Head): { buffer: Buffer; length: number } {
    this.#hpack.begin(roomFor(head), 0);
    return this.#fields(head);
  }

  #fields(head: Head): { buffer: Buffer; length: number } {
    for (let i = 0; i < head.count; i++) {
      const id = idAt(head, i);
      // `te` was checked to be `trailers`, the only value that HTTP/2 knows.
      if (id === FieldId.host || isHopByHop(id) || isIsthmusField(id)) continue;
      this.#field(head, i);
    }
    return { buffer: block, length: this.#hpack.position };
  }

  #field(head: Head, i: number): void {
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

  #span(name: Buffer, span: Span): void {
    this.#hpack.field(false, name, 0, name.length, span.buffer, span.start, span.end);
  }
}

/** Size of a head as the peer's MAX_HEADER_LIST_SIZE counts it; a little more, since what is left out is counted, too. */
export function headerListSize(head: Head): number {
  let n = 0;
  for (const span of [head.method, head.path, head.authority, head.scheme])
    n += span.end - span.start + ENTRY_OVERHEAD + 10;
  for (let i = 0; i < head.count; i++) {
    n += head.nameEnd[i]! - head.nameStart[i]! + head.valueEnd[i]! - head.valueStart[i]! + ENTRY_OVERHEAD;
  }
  return n;
}

/** A field's encoding is never longer than its size in the list plus the integers, for which the overhead of an entry has room. */
function roomFor(head: Head): Buffer {
  const need = headerListSize(head) + 64;
  if (need > block.length) block = Buffer.allocUnsafeSlow(need * 2);
  return block;
}

function idAt(head: Head, i: number): FieldId {
  return head.id[i]! as FieldId;
}
