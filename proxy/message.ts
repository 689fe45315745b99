import type { Cause } from './errors.ts';

/**
 * The one form in which a message passes between layers. A head stays bytes with offsets: no string, object or copy is made for a field that nobody asks for.
 * Heads and data are only valid during the call that hands them over; who needs them longer copies.
 */

/** Most fields in one head: more is refused (431). Browsers and gRPC stay far below 100; 256 leaves room for proxies in between. */
export const MAX_FIELDS = 256;

/** Fields that layers look for: codecs mark them while scanning, so that finding one is a table look-up. */
export const FieldId = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
  te: 7,
  trailer: 8,
  keepAlive: 9,
  proxyConnection: 10,
  proxyAuthorization: 11,
  proxyAuthenticate: 12,
  l5dClientId: 13,
  forwarded: 14,
  l5dProxyError: 15,
  l5dOther: 16,
  contentType: 17,
  grpcStatus: 18,
  isthmusPort: 19,
  isthmusTarget: 20,
  isthmusClient: 21,
  isthmusProtocol: 22,
  isthmusTimeout: 23,
  cookie: 24,
  grpcTimeout: 25,
  grpcRetryPushback: 26,
  retryAfter: 27,
  userAgent: 28,
  traceparent: 29,
  tracestate: 30,
  b3: 31,
  b3TraceId: 32,
  b3SpanId: 33,
  b3ParentSpanId: 34,
  b3Sampled: 35,
  b3Flags: 36,
  requestId: 37,
} as const;
export type FieldId = (typeof FieldId)[keyof typeof FieldId];

/** Fields that are looked for together. Made once. */
export class FieldSet {
  /** A bit for each id (modulo 32). */
  readonly bits: number;
  readonly #has = new Uint8Array(Object.keys(FieldId).length);

  constructor(...ids: FieldId[]) {
    let bits = 0;
    for (const id of ids) {
      bits |= 1 << id;
      this.#has[id] = 1;
    }
    this.bits = bits;
  }

  has(id: number): boolean {
    return this.#has[id] === 1;
  }
}

const EMPTY = Buffer.alloc(0);
/** A head of usual size, so that it is seldom made twice. */
const OWN_BYTES = 1024;

/** The answer to an `Upgrade` that is taken. */
export const SWITCHING_PROTOCOLS = 101;

/** A run of bytes: `buffer[start, end)`. */
export interface Span {
  buffer: Buffer;
  start: number;
  end: number;
}

/**
 * A field whose bytes never change, name and value side by side: an entry of a compression table, or what we write again and again. Codecs tell it by where it lies,
 * without a look at its bytes.
 */
export interface LastingField {
  buffer: Buffer;
  nameStart: number;
  nameEnd: number;
  valueEnd: number;
  /** By `hpack-table.ts`; 0: not asked for yet. */
  hash: number;
  /** Its place in HPACK's static table; 0: none. */
  readonly index: number;
}

/** Makes a field of our own; the name is lower case. */
export function lastingField(name: string, value: string): LastingField {
  const buffer = Buffer.from(name + value, 'latin1');
  const { length } = name;
  return { buffer, nameStart: 0, nameEnd: length, valueEnd: buffer.length, hash: 0, index: 0 };
}

/** A part of a head's first line, and the field that its bytes are the value of, if it is a lasting one: a hint that only `lastingOf` reads. */
export interface HeadSpan extends Span {
  origin: LastingField | undefined;
}

/** The lasting field whose value the span is; undefined: it is of bytes that may change. */
export function lastingOf({ buffer, start, end, origin }: HeadSpan): LastingField | undefined {
  if (origin === undefined || origin.buffer !== buffer) return undefined;
  return origin.nameEnd === start && origin.valueEnd === end ? origin : undefined;
}

/** Head (or trailers) of a message. One object per codec, reused for every message. */
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
    if (this.#own.length < n) this.#own = Buffer.allocUnsafeSlow(Math.max(n, OWN_BYTES));
    return this.#own;
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

/** Text of a span (Latin-1). */
export function spanText(span: Span): string {
  return span.buffer.toString('latin1', span.start, span.end);
}

/** Points a span at the bytes of `text`. */
export function setSpan(span: Span, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  pointAt(span, bytes, 0, bytes.length);
}

/** Points a span at `buffer[start, end)`. */
export function pointAt(span: Span, buffer: Buffer, start: number, end: number): void {
  span.buffer = buffer;
  span.start = start;
  span.end = end;
}

/**
 * One request with its response, or one opaque TCP stream, on its way through the layers. The codec that received it makes it. Its shape is fixed: a layer that
 * keeps state per request has a slot here, so that no map or closure is needed on the data path.
 */
export class Exchange {
  /** Where responses go: the codec that received the request, or the outermost layer of a stack. */
  client: ResponseSink;
  /** Where the request went: set by the layer that chose it; undefined while queued. */
  upstream: RequestSink | undefined = undefined;
  /** Codec state of the receiving side (an HTTP/2 stream, an HTTP/1 connection). */
  clientStream: unknown = undefined;
  /** Codec state of the sending side. */
  upstreamStream: unknown = undefined;
  /** ms of the monotonic clock, when the head arrived and when the response head did (0: not yet). */
  startedAt = 0;
  respondedAt = 0;
  status = 0;
  isHead = false;
  /** The peer said that it did not process the request (GOAWAY, REFUSED_STREAM), or nothing was sent: it may be sent again elsewhere. */
  refused = false;
  /** The stream is opaque bytes (CONNECT of `isthmus/1`, opaque TCP). */
  opaque = false;
  /** The app that asks speaks HTTP/2, and the app that is asked gets it. */
  http2 = false;
  /**
   * `asked`: the request asks to leave HTTP (`Upgrade`): nothing follows its head until it is answered. `done`: the answer was 101, and from there on the exchange
   * is opaque bytes, whose two directions end each by itself. Set by the codecs.
   */
  upgrade: 'no' | 'asked' | 'done' = 'no';
  /** RFC 9113 error code by which either side reset its stream; 0: none did. It goes on to the other side: an app's reasons are its own. */
  resetCode = 0;
  requestEnded = false;
  responseEnded = false;
  /** ms of the monotonic clock when the answer must be there, carried on to the next hop; 0: no deadline. */
  deadline = 0;
  /** Slots of the layers, typed where they are used: telemetry's cell, the route and its running limits, the balancer's endpoint, the policy's verdict. */
  telemetry: unknown = undefined;
  route: unknown = undefined;
  limits: unknown = undefined;
  endpoint: unknown = undefined;
  verdict: unknown = undefined;
  /** Who is at the other end of the connection (what a gateway's observers tell of it), and the client that a gateway asserted (believed or absent). */
  peer: unknown = undefined;
  assertedClient: string | undefined = undefined;

  constructor(client: ResponseSink) {
    this.client = client;
  }
}

/** Takes a request: a layer, or the codec of the connection that it leaves on. */
export interface RequestSink {
  requestHead(x: Exchange, head: Head, end: boolean): void;
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  /** Ends the request. */
  requestTrailers(x: Exchange, trailers: Head): void;
  /** The client gave the request up. Nothing comes after it. */
  requestReset(x: Exchange, cause: Cause): void;
  /** The client's side has taken n response bytes: that many more may come. */
  responseConsumed(x: Exchange, n: number): void;
}

/** Takes a response: a layer, or the codec of the connection that the request came in on. */
export interface ResponseSink {
  /** Also informational (1xx) heads; those never end the message. */
  responseHead(x: Exchange, head: Head, end: boolean): void;
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  responseTrailers(x: Exchange, trailers: Head): void;
  /** The response will not come, or not to its end. The codec answers by `errors.ts` when no head has been sent. */
  responseReset(x: Exchange, cause: Cause): void;
  /** The upstream side has taken n request bytes. */
  requestConsumed(x: Exchange, n: number): void;
}

/**
 * A layer: passes everything on unless it overrides it. Put together once per target: `inner` leads to the upstream. Responses go outwards through `outer(x)`.
 */
export abstract class Layer implements RequestSink, ResponseSink {
  inner: RequestSink;

  constructor(inner: RequestSink) {
    this.inner = inner;
  }

  /** The sink that this layer's responses go to; the outermost layer of a stack answers `x.client`. */
  protected abstract outer(x: Exchange): ResponseSink;

  requestHead(x: Exchange, head: Head, end: boolean): void {
    this.inner.requestHead(x, head, end);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.inner.requestData(x, buffer, start, end, last);
  }
  requestTrailers(x: Exchange, trailers: Head): void {
    this.inner.requestTrailers(x, trailers);
  }
  requestReset(x: Exchange, cause: Cause): void {
    this.inner.requestReset(x, cause);
  }
  responseConsumed(x: Exchange, n: number): void {
    this.inner.responseConsumed(x, n);
  }
  responseHead(x: Exchange, head: Head, end: boolean): void {
    this.outer(x).responseHead(x, head, end);
  }
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.outer(x).responseData(x, buffer, start, end, last);
  }
  responseTrailers(x: Exchange, trailers: Head): void {
    this.outer(x).responseTrailers(x, trailers);
  }
  responseReset(x: Exchange, cause: Cause): void {
    this.outer(x).responseReset(x, cause);
  }
  requestConsumed(x: Exchange, n: number): void {
    this.outer(x).requestConsumed(x, n);
  }
}
