import { BYTES, delimited, FIXED64, tagOf, VARINT, writeVarint } from '../../api/proto/wire-format.ts';
import { copyBytes, equalBytes } from '../bytes/bytes.ts';
import { parseDecimal } from '../bytes/characters.ts';
import { NO_GRPC_STATUS } from '../telemetry/classify.ts';
import type { Outcome } from '../telemetry/http-metrics.ts';
import { MOST_TEXT, type RequestText } from '../telemetry/request-text.ts';
import { attributeKey, textAttribute, writeNumber, writeText } from './attributes.ts';
import { PARENT_ID_AT, SPAN_ID_AT, SPAN_ID_BYTES, TRACE_ID_BYTES, type Span } from './span.ts';

const NS_PER_US = 1_000;
const WORD = 2 ** 32;

/** SERVER and CLIENT of `opentelemetry.proto.trace.v1.Span.SpanKind`. */
export const SpanKind = { server: 2, client: 3 } as const;
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

/** Fields of `opentelemetry.proto.trace.v1.Span`. */
export const ATTRIBUTES = 9;
const TRACE_ID = 1;
const SPAN_ID = 2;
const PARENT_SPAN_ID = 4;
const NAME = 5;
const KIND = 6;
const START = 7;
const END = 8;
const STATUS = 15;
/** Of `Status`. */
const STATUS_CODE = 3;
const STATUS_ERROR = 2;

/** Names of the semantic conventions for HTTP. */
const makeKeys = () => ({
  originalMethod: attributeKey('http.request.method_original'),
  status: attributeKey('http.response.status_code'),
  requestBytes: attributeKey('http.request.body.size'),
  responseBytes: attributeKey('http.response.body.size'),
  resends: attributeKey('http.request.resend_count'),
  serverAddress: attributeKey('server.address'),
  serverPort: attributeKey('server.port'),
  path: attributeKey('url.path'),
  full: attributeKey('url.full'),
  agent: attributeKey('user_agent.original'),
  error: attributeKey('error.type'),
  grpcStatus: attributeKey('rpc.grpc.status_code'),
});

const makeParts = (scheme = textAttribute(ATTRIBUTES, 'url.scheme', 'http')) => ({
  http1: Buffer.concat([scheme, textAttribute(ATTRIBUTES, 'network.protocol.version', '1.1')]),
  http2: Buffer.concat([scheme, textAttribute(ATTRIBUTES, 'network.protocol.version', '2')]),
  grpc: textAttribute(ATTRIBUTES, 'rpc.system', 'grpc'),
  error: Buffer.from([tagOf(STATUS, BYTES), 2, tagOf(STATUS_CODE, VARINT), STATUS_ERROR]),
});

/** What the conventions take for methods; any other one would make as many span names as clients like. */
const METHODS: readonly string[] = [
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'CONNECT',
  'TRACE',
];

interface KnownMethod {
  readonly name: Buffer;
  /** The span's name, kind and method, as they stand in the span. */
  readonly fields: Readonly<Record<SpanKind, Buffer>>;
}

/** @param name of the span */
function knownMethod(text: string, name = Buffer.from(text)): KnownMethod {
  const fields = (kind: SpanKind): Buffer =>
    Buffer.concat([
      delimited(NAME, name),
      Buffer.from([tagOf(KIND, VARINT), kind]),
      textAttribute(ATTRIBUTES, 'http.request.method', text),
    ]);
  return {
    name,
    fields: { [SpanKind.server]: fields(SpanKind.server), [SpanKind.client]: fields(SpanKind.client) },
  };
}

/** Longest text of a request twice in UTF-8, its path and authority a second time in `url.full`, and the names and numbers around them. */
const MOST_BYTES = 4 * MOST_TEXT + 1_024;

/** Everything about a span that is over, beside its ids. */
export interface EndedSpan {
  readonly kind: SpanKind;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly text: RequestText;
  readonly http2: boolean;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Tries beyond the first. */
  readonly resends: number;
  /** Attributes that are made once: of the stack, of who asked, of where it went. */
  readonly fixed: Buffer;
  readonly client: Buffer;
  readonly peer: Buffer;
}

const COLON = 58;
const QUESTION_MARK = 63;
const CLOSING_BRACKET = 93;

/** Writes spans as OTLP has them. */
export class SpanEncoder {
  // Made with the encoder: most processes have none, and a start has no ms for them.
  readonly #keys = makeKeys();
  readonly #parts = makeParts();
  readonly #methods = METHODS.map((name) => knownMethod(name));
  /** As the conventions name what they do not know. */
  readonly #other = knownMethod('_OTHER', Buffer.from('HTTP'));
  #to: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Bytes that a span takes at most. */
  mostBytes({ fixed, client, peer }: EndedSpan): number {
    return MOST_BYTES + fixed.length + client.length + peer.length;
  }

  /** @returns where the next bytes go */
  write(to: Buffer, at: number, span: Span, ended: EndedSpan, outcome: Outcome): number {
    this.#to = to;
    this.#at = at;
    this.#ids(span);
    this.#method(ended);
    this.#at = writeNanoseconds(to, this.#tag(START, FIXED64), ended.startedAt);
    this.#at = writeNanoseconds(to, this.#tag(END, FIXED64), ended.startedAt + outcome.latencyMs);
    this.#request(ended);
    this.#response(ended, outcome);
    this.#bytes(ended.fixed);
    this.#bytes(ended.client);
    this.#bytes(ended.peer);
    return this.#at;
  }

  #ids(span: Span): void {
    this.#id(TRACE_ID, span.ids, 0, TRACE_ID_BYTES);
    this.#id(SPAN_ID, span.ids, SPAN_ID_AT, SPAN_ID_BYTES);
    if (span.hasParent) this.#id(PARENT_SPAN_ID, span.ids, PARENT_ID_AT, SPAN_ID_BYTES);
  }

  #method({ kind, text }: EndedSpan): void {
    const method = knownOf(this.#methods, text);
    if (method !== undefined) return this.#bytes(method.fields[kind]);
    this.#bytes(this.#other.fields[kind]);
    this.#text(this.#keys.originalMethod, text.bytes, 0, text.methodEnd);
  }

  #request({ kind, text, http2 }: EndedSpan): void {
    const { bytes, methodEnd, authorityEnd, pathEnd, agentEnd } = text;
    this.#server(bytes, methodEnd, authorityEnd);
    // Without the query: that is where secrets stand in targets.
    const question = indexOf(bytes, authorityEnd, pathEnd, QUESTION_MARK);
    if (kind === SpanKind.client) this.#full(bytes, methodEnd, authorityEnd, question);
    this.#text(this.#keys.path, bytes, authorityEnd, question);
    if (agentEnd > pathEnd) this.#text(this.#keys.agent, bytes, pathEnd, agentEnd);
    this.#bytes(http2 ? this.#parts.http2 : this.#parts.http1);
  }

  #server(bytes: Buffer, start: number, end: number): void {
    let colon = end - 1;
    while (colon >= start && bytes[colon] !== COLON && bytes[colon] !== CLOSING_BRACKET) colon--;
    const hasPort = colon >= start && bytes[colon] === COLON;
    const hostEnd = hasPort ? colon : end;
    if (hostEnd > start) this.#text(this.#keys.serverAddress, bytes, start, hostEnd);
    if (!hasPort) return;
    const port = parseDecimal(bytes, colon + 1, end);
    if (port > 0 && port < 65_536) this.#number(this.#keys.serverPort, port);
  }

  /** The authority and the path stand beside each other; the scheme is put before them. */
  #full(bytes: Buffer, start: number, authorityEnd: number, end: number): void {
    if (authorityEnd === start) return;
    const whole = copyBytes(bytes, start, end, fullUrl, SCHEME_LENGTH);
    this.#text(this.#keys.full, fullUrl, 0, whole);
  }

  #response({ kind, requestBytes, responseBytes, resends }: EndedSpan, outcome: Outcome): void {
    const { status, grpcStatus, error } = outcome;
    this.#number(this.#keys.status, status);
    if (requestBytes > 0) this.#number(this.#keys.requestBytes, requestBytes);
    if (responseBytes > 0) this.#number(this.#keys.responseBytes, responseBytes);
    if (resends > 0) this.#number(this.#keys.resends, resends);
    if (grpcStatus !== NO_GRPC_STATUS) {
      this.#bytes(this.#parts.grpc);
      this.#number(this.#keys.grpcStatus, grpcStatus);
    }
    const failed = !outcome.success || status >= (kind === SpanKind.client ? 400 : 500);
    if (!failed) return;
    this.#bytes(this.#parts.error);
    const reason = Buffer.from(error === '' ? String(status) : error, 'latin1');
    this.#text(this.#keys.error, reason, 0, reason.length);
  }

  #tag(field: number, type: number): number {
    this.#to[this.#at] = tagOf(field, type);
    return this.#at + 1;
  }

  #id(field: number, from: Buffer, start: number, length: number): void {
    const at = writeVarint(this.#to, this.#tag(field, BYTES), length);
    for (let i = 0; i < length; i++) this.#to[at + i] = from[start + i] ?? 0;
    this.#at = at + length;
  }

  #bytes(part: Buffer): void {
    this.#at = copyBytes(part, 0, part.length, this.#to, this.#at);
  }

  #text(name: Buffer, from: Buffer, start: number, end: number): void {
    this.#at = writeText(this.#to, this.#at, ATTRIBUTES, name, from, start, end);
  }

  #number(name: Buffer, value: number): void {
    this.#at = writeNumber(this.#to, this.#at, ATTRIBUTES, name, value);
  }
}

const SCHEME = Buffer.from('http://');
const SCHEME_LENGTH = SCHEME.length;
const fullUrl = Buffer.alloc(SCHEME_LENGTH + MOST_TEXT);
SCHEME.copy(fullUrl);

/** One of the known methods; undefined: another one. */
function knownOf(
  methods: readonly KnownMethod[],
  { bytes, methodEnd }: RequestText,
): KnownMethod | undefined {
  for (const method of methods) if (equalBytes(bytes, 0, methodEnd, method.name)) return method;
  return undefined;
}

/** `end` when it is not there. */
function indexOf(bytes: Buffer, start: number, end: number, c: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === c) return i;
  return end;
}

/**
 * ms since the epoch as nanoseconds in eight bytes, the lowest first. Nanoseconds since 1970 are more than a number
 * holds: microseconds are, so they are multiplied in two halves.
 */
function writeNanoseconds(to: Buffer, at: number, ms: number): number {
  const us = Math.floor(ms * NS_PER_US);
  const low = (us % WORD) * NS_PER_US;
  const high = Math.floor(us / WORD) * NS_PER_US + Math.floor(low / WORD);
  return writeWord(to, writeWord(to, at, low % WORD), high);
}

function writeWord(to: Buffer, at: number, word: number): number {
  to[at] = word & 255;
  to[at + 1] = (word >>> 8) & 255;
  to[at + 2] = (word >>> 16) & 255;
  to[at + 3] = (word >>> 24) & 255;
  return at + 4;
}
