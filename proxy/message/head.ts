import type { FieldId, FieldSet } from './field-id.ts';
import type { HeadSpan, LastingField } from './lasting-field.ts';
import { pointAt, type Span } from '../bytes/span.ts';

/** Most fields in one head: more is refused (431). Browsers and gRPC stay far below 100; 256 leaves room for proxies in between. */
export const MAX_FIELDS = 256;

const EMPTY = Buffer.alloc(0);
/** Bytes of a copy come by so many: a head that serves again is seldom too small. */
const OWN_BYTES = 256;

/** The answer to an `Upgrade` that is taken. */
export const SWITCHING_PROTOCOLS = 101;

/**
 * Head (or trailers) of a message. It stays bytes with offsets: no string, object or copy is made for a field that
 * nobody asks for. One object per codec, reused for every message.
 */
export class Head {
  /** Regular fields, in their order; names are lower case as they came from HTTP/2, any case as they came from HTTP/1. */
  count = 0;
  readonly nameBuffer: Buffer[] = [];
  nameStart: Int32Array;
  nameEnd: Int32Array;
  readonly valueBuffer: Buffer[] = [];
  valueStart: Int32Array;
  valueEnd: Int32Array;
  id: Uint8Array;
  /** 1: the sender asked that no hop puts the field into a compression table (RFC 7541 section 7.1.3). */
  sensitive: Uint8Array;
  /** The lasting fields that stand here: hints, which only `lasting` reads. */
  readonly #origin: (LastingField | undefined)[] = [];
  /** A bit for each id (modulo 32) that has been added. */
  #ids = 0;

  /** Request line. Empty spans on a response. `authority` is the Host field, the absolute form's authority or `:authority`. */
  readonly method: HeadSpan = { buffer: EMPTY, start: 0, end: 0, origin: undefined };
  readonly path: HeadSpan = { buffer: EMPTY, start: 0, end: 0, origin: undefined };
  readonly authority: HeadSpan = { buffer: EMPTY, start: 0, end: 0, origin: undefined };
  readonly scheme: HeadSpan = { buffer: EMPTY, start: 0, end: 0, origin: undefined };
  /** 0 on a request. */
  status = 0;
  /** -1 when the message did not say. */
  contentLength = -1;
  /** The HTTP/1 message had `Connection: close`, or was HTTP/1.0 without keep-alive. */
  close = false;
  /** Bytes as they came that all spans of this buffer lie in: who copies takes them in one go. Empty where spans lie here and there. */
  readonly block: Span = { buffer: EMPTY, start: 0, end: 0 };
  #own: Buffer = EMPTY;

  /** @param capacity fields that it has room for to begin with */
  constructor(capacity = MAX_FIELDS) {
    this.nameStart = new Int32Array(capacity);
    this.nameEnd = new Int32Array(capacity);
    this.valueStart = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.id = new Uint8Array(capacity);
    this.sensitive = new Uint8Array(capacity);
  }

  /** Fields that it has room for. */
  get capacity(): number {
    return this.id.length;
  }

  /** Memory of the head's own for n bytes, for the fields of a copy: the same again for the next copy, so that copying makes no garbage. */
  own(n: number): Buffer {
    if (this.#own.length < n) this.#own = Buffer.allocUnsafeSlow(Math.ceil(n / OWN_BYTES) * OWN_BYTES);
    return this.#own;
  }

  /** Forgets memory of its own that is more than so many bytes. */
  keepOwn(bytes: number): void {
    if (this.#own.length > bytes) this.#own = EMPTY;
  }

  /** The head of the answer itself: not one that only informs. After 101 comes no other head. */
  get isFinal(): boolean {
    return this.status >= 200 || this.status === SWITCHING_PROTOCOLS;
  }

  /** Makes the head empty, ready for the next message. */
  clear(): void {
    this.count = 0;
    this.#ids = 0;
    clearSpan(this.method);
    clearSpan(this.path);
    clearSpan(this.authority);
    clearSpan(this.scheme);
    pointAt(this.block, EMPTY, 0, 0);
    this.status = 0;
    this.contentLength = -1;
    this.close = false;
  }

  /** Appends a field; false when the head is full. The bytes are not copied. */
  add(
    id: FieldId,
    nameBuffer: Buffer,
    nameStart: number,
    nameEnd: number,
    valueBuffer: Buffer,
    valueStart: number,
    valueEnd: number,
  ): boolean {
    const i = this.count;
    if (i >= this.id.length && !this.#grow()) return false;
    this.nameBuffer[i] = nameBuffer;
    this.nameStart[i] = nameStart;
    this.nameEnd[i] = nameEnd;
    this.valueBuffer[i] = valueBuffer;
    this.valueStart[i] = valueStart;
    this.valueEnd[i] = valueEnd;
    this.id[i] = id;
    this.sensitive[i] = 0;
    this.#origin[i] = undefined;
    this.#ids |= 1 << id;
    this.count = i + 1;
    return true;
  }

  /** Appends a field whose bytes never change; false when the head is full. */
  addLasting(id: FieldId, field: LastingField): boolean {
    const { buffer, nameStart, nameEnd, valueEnd } = field;
    if (!this.add(id, buffer, nameStart, nameEnd, buffer, nameEnd, valueEnd)) return false;
    this.#origin[this.count - 1] = field;
    return true;
  }

  /** The lasting field that field i is; undefined: its bytes may change. */
  lasting(i: number): LastingField | undefined {
    const field = this.#origin[i];
    if (field === undefined) return undefined;
    // Who put other bytes in their place did not say so, and a table may use the object for another entry by now: the place alone counts.
    const { buffer, nameStart, nameEnd, valueEnd } = field;
    const isName =
      buffer === this.nameBuffer[i] && nameStart === this.nameStart[i] && nameEnd === this.nameEnd[i];
    const isValue =
      buffer === this.valueBuffer[i] && nameEnd === this.valueStart[i] && valueEnd === this.valueEnd[i];
    return isName && isValue ? field : undefined;
  }

  /** Index of the first field with this id, from `from` on; -1 when there is none. */
  find(id: FieldId, from = 0): number {
    if ((this.#ids & (1 << id)) === 0) return -1;
    for (let i = from; i < this.count; i++) if (this.id[i] === id) return i;
    return -1;
  }

  /** Removes every field with this id; the others keep their order. */
  remove(id: FieldId): void {
    let kept = this.find(id);
    if (kept < 0) return;
    for (let i = kept + 1; i < this.count; i++) if (this.id[i] !== id) this.#move(i, kept++);
    this.count = kept;
  }

  /** Removes every field that the set has; the others keep their order. */
  removeAll(set: FieldSet): void {
    if ((this.#ids & set.bits) === 0) return;
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (set.has(this.id[i] ?? 0)) continue;
      if (kept !== i) this.#move(i, kept);
      kept++;
    }
    this.count = kept;
  }

  /** Removes the fields whose name the test accepts. Not for the common path: it takes a function. */
  removeNamed(test: (name: Buffer, start: number, end: number) => boolean): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (test(this.nameBuffer[i] ?? EMPTY, this.nameStart[i] ?? 0, this.nameEnd[i] ?? 0)) continue;
      if (kept !== i) this.#move(i, kept);
      kept++;
    }
    this.count = kept;
  }

  /** Value of field i as a string (Latin-1, as RFC 9110 section 5.5 treats field values). */
  value(i: number): string {
    return this.valueBuffer[i]?.toString('latin1', this.valueStart[i], this.valueEnd[i]) ?? '';
  }

  /** Out of the way of `add`: filters that add many fields to a small copy are rare. False: it takes all that a message may have. */
  #grow(): boolean {
    if (this.capacity >= MAX_FIELDS) return false;
    this.nameStart = grown(this.nameStart, new Int32Array(MAX_FIELDS));
    this.nameEnd = grown(this.nameEnd, new Int32Array(MAX_FIELDS));
    this.valueStart = grown(this.valueStart, new Int32Array(MAX_FIELDS));
    this.valueEnd = grown(this.valueEnd, new Int32Array(MAX_FIELDS));
    this.id = grown(this.id, new Uint8Array(MAX_FIELDS));
    this.sensitive = grown(this.sensitive, new Uint8Array(MAX_FIELDS));
    return true;
  }

  #move(from: number, to: number): void {
    this.nameBuffer[to] = this.nameBuffer[from] ?? EMPTY;
    this.nameStart[to] = this.nameStart[from] ?? 0;
    this.nameEnd[to] = this.nameEnd[from] ?? 0;
    this.valueBuffer[to] = this.valueBuffer[from] ?? EMPTY;
    this.valueStart[to] = this.valueStart[from] ?? 0;
    this.valueEnd[to] = this.valueEnd[from] ?? 0;
    this.id[to] = this.id[from] ?? 0;
    this.sensitive[to] = this.sensitive[from] ?? 0;
    this.#origin[to] = this.#origin[from];
  }
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function clearSpan(span: HeadSpan): void {
  span.buffer = EMPTY;
  span.start = 0;
  span.end = 0;
  span.origin = undefined;
}
