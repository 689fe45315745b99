import { equalBytes } from '../bytes/bytes.ts';
import { parseDecimal, isAuthority, isTarget, isToken } from '../bytes/characters.ts';
import { equalsIgnoreCase, isHopByHop, isIsthmusField, mayUpgradeTo } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import { SWITCHING_PROTOCOLS } from '../message/head.ts';
import type { Head } from '../message/head.ts';
import { lastingOf } from '../message/lasting-field.ts';
import type { HeadSpan } from '../message/lasting-field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { FieldTarget } from './hpack-decoder.ts';
import { ENTRY_OVERHEAD, Kind } from './hpack-table.ts';
import type { TableEntry } from './hpack-table.ts';

/** Bytes of a decoded head as RFC 9113 section 6.5.2 counts them; announced as MAX_HEADER_LIST_SIZE. The same bound as for HTTP/1 heads. */
export const MAX_HEADER_LIST = 64 * 1024;

/** 'compression': the connection cannot go on. The others concern the stream. */
export type DecodedHead = 'ok' | 'malformed' | 'too-large' | 'compression';

/** What the block is: each has its own pseudo-headers. */
export type HeadKind = 'request' | 'response' | 'trailers';

const CONNECT = Buffer.from('CONNECT');
const TRAILERS = Buffer.from('trailers');

/** Decodes header blocks into heads, by the rules of RFC 9113 section 8. */
export class HeadDecoder implements FieldTarget {
  readonly #hpack = new HpackDecoder();
  readonly #isthmus: boolean;
  #head: Head;
  #kind: HeadKind = 'request';
  #seen = 0;
  #size = 0;
  #regular = false;
  #malformed = false;
  #hosts = 0;

  /** The head has an Upgrade field: it asks for that, or grants it. */
  upgrade = false;

  /** `isthmus`: the peer is one of our proxies: pseudo-headers of `isthmus/1` are taken as fields, and HTTP/1.1 may be left by Upgrade. */
  constructor(head: Head, isthmus: boolean) {
    this.#head = head;
    this.#isthmus = isthmus;
  }

  decode(b: Buffer, start: number, end: number, head: Head, kind: HeadKind): DecodedHead {
    head.clear();
    this.#head = head;
    this.#kind = kind;
    this.#seen = 0;
    this.#size = 0;
    this.#regular = false;
    this.#malformed = false;
    this.#hosts = 0;
    this.upgrade = false;
    if (!this.#hpack.decode(b, start, end, this)) return 'compression';
    if (this.#malformed) return 'malformed';
    if (this.#size > MAX_HEADER_LIST) return 'too-large';
    return this.#complete() ? 'ok' : 'malformed';
  }

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
    entry: TableEntry | undefined,
  ): void {
    this.#size += nameEnd - nameStart + valueEnd - valueStart + ENTRY_OVERHEAD;
    if (this.#size > MAX_HEADER_LIST) return;
    if (badValue || kind === Kind.malformed || kind === Kind.unknownPseudo) {
      this.#malformed = true;
    } else if (kind >= Kind.method) {
      this.#pseudo(kind, valueBuffer, valueStart, valueEnd, entry);
    } else {
      const id = kind as FieldId;
      if (!this.#accept(id, valueBuffer, valueStart, valueEnd)) return;
      const head = this.#head;
      const added =
        entry === undefined
          ? head.add(id, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd)
          : head.addLasting(id, entry);
      if (!added) {
        this.#size = MAX_HEADER_LIST + 1;
        return;
      }
      if (sensitive) head.sensitive[head.count - 1] = 1;
    }
  }

  #pseudo(kind: number, b: Buffer, start: number, end: number, entry: TableEntry | undefined): void {
    const bit = 1 << (kind - Kind.method);
    const allowed = kind === Kind.status ? this.#kind === 'response' : this.#kind === 'request';
    if (!allowed || this.#regular || (this.#seen & bit) !== 0) {
      this.#malformed = true;
      return;
    }
    this.#seen |= bit;
    const head = this.#head;
    if (kind === Kind.method) setSpan(head.method, b, start, end, entry);
    else if (kind === Kind.path) setSpan(head.path, b, start, end, entry);
    else if (kind === Kind.authority) setSpan(head.authority, b, start, end, entry);
    else if (kind === Kind.scheme) setSpan(head.scheme, b, start, end, entry);
    else head.status = end - start === 3 ? parseDecimal(b, start, end) : -1;
  }

  /** Whether the field is kept. */
  #accept(id: FieldId, b: Buffer, start: number, end: number): boolean {
    if (isIsthmusField(id)) {
      const bit = 1 << (8 + id - FieldId.isthmusPort);
      if (!this.#isthmus || this.#kind !== 'request' || this.#regular || (this.#seen & bit) !== 0)
        this.#malformed = true;
      this.#seen |= bit;
      return !this.#malformed;
    }
    this.#regular = true;
    switch (id) {
      case FieldId.other:
        return true;
      case FieldId.contentLength:
        if (this.#head.contentLength >= 0 || this.#kind === 'trailers') this.#malformed = true;
        this.#head.contentLength = parseDecimal(b, start, end);
        if (this.#head.contentLength < 0) this.#malformed = true;
        return true;
      case FieldId.host:
        return this.#host(b, start, end);
      case FieldId.te:
        if (!equalsIgnoreCase(b, start, end, TRAILERS)) this.#malformed = true;
        return true;
      case FieldId.upgrade:
        if (!this.#isthmus || this.upgrade || this.#kind === 'trailers' || !mayUpgradeTo(b, start, end))
          this.#malformed = true;
        this.upgrade = true;
        return true;
      case FieldId.proxyAuthorization:
      case FieldId.proxyAuthenticate:
        return false;
      default:
        if (isHopByHop(id)) this.#malformed = true;
        return true;
    }
  }

  /** `host` may stand for `:authority` or repeat it, never contradict it (RFC 9113 section 8.3.1). It is not kept. */
  #host(b: Buffer, start: number, end: number): boolean {
    const { authority } = this.#head;
    if (this.#kind !== 'request' || ++this.#hosts > 1) this.#malformed = true;
    else if (authority.end === authority.start) setSpan(authority, b, start, end, undefined);
    else if (authority.buffer.compare(b, start, end, authority.start, authority.end) !== 0)
      this.#malformed = true;
    return false;
  }

  #complete(): boolean {
    const head = this.#head;
    if (this.#kind === 'trailers') return true;
    if (this.#kind === 'response') {
      const switches = head.status === SWITCHING_PROTOCOLS;
      return head.status >= 100 && switches === this.upgrade;
    }
    const { method, path, authority, scheme } = head;
    if (!fits(method, isToken) || !fits(authority, isAuthority)) return false;
    if (equalBytes(method.buffer, method.start, method.end, CONNECT)) {
      return path.end === 0 && scheme.end === 0 && authority.end > authority.start;
    }
    if (!fits(path, isTarget) || scheme.end === scheme.start) return false;
    const first = path.buffer[path.start];
    return first === 47 || (first === 42 && path.end - path.start === 1);
  }
}

/** Is the value of a pseudo-header what it must be? Entries of a table are looked at once: their names say which of the tests it is. */
function fits(span: HeadSpan, test: (b: Buffer, start: number, end: number) => boolean): boolean {
  const entry = lastingOf(span) as TableEntry | undefined;
  if (entry?.fits === true) return true;
  const result = test(span.buffer, span.start, span.end);
  if (entry !== undefined) entry.fits = result;
  return result;
}

function setSpan(
  span: HeadSpan,
  buffer: Buffer,
  start: number,
  end: number,
  entry: TableEntry | undefined,
): void {
  span.buffer = buffer;
  span.start = start;
  span.end = end;
  span.origin = entry;
}
