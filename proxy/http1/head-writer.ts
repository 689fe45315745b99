import { copyBytes } from '../bytes/bytes.ts';
import type { Cause } from '../errors.ts';
import { isHopByHop, isIsthmusField } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Span } from '../bytes/span.ts';
import type { Transport } from '../transport/transport.ts';
import { reasonOf } from './reasons.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const VERSION_END = latin1(' HTTP/1.1\r\n');
const HOST = latin1('host: ');
const COOKIE = latin1('cookie: ');
const CRLF = latin1('\r\n');
const CHUNKED = latin1('transfer-encoding: chunked\r\n');
const NO_CONTENT = latin1('content-length: 0\r\n');
const CLOSE = latin1('connection: close\r\n');
const CONNECTION_UPGRADE = latin1('connection: upgrade\r\n');
/** With the option that RFC 9110 section 10.1.4 wants beside it. */
const TE_TRAILERS = latin1('te: trailers\r\nconnection: te\r\n');
const KEEP_ALIVE = latin1('connection: keep-alive\r\n');
const ROOT = latin1('/');
const COLON = 58;
const SPACE = 32;
const CR = 13;
const LF = 10;
/** Bytes around a field: colon, space, CR LF. */
const FIELD_OVERHEAD = 4;
/** Room for everything in a head but the fields and the spans of the request line. */
const FIXED_ROOM = 256;

/** How the body that follows is framed; 'declared': as the head's own fields say. */
export type OutgoingFraming = 'declared' | 'chunked' | 'empty' | 'close';

/** What the head says about the connection. */
export type ConnectionOption = 'none' | 'close' | 'keep-alive';

/** Three digits. */
const STATUSES = 1000;
/** By status; as long as it will ever be, since V8 makes an array that grows by single high indices a hash table. */
const statusLines: (Buffer | undefined)[] = Array.from({ length: STATUSES });

function statusLine(status: number): Buffer {
  return (statusLines[status] ??= latin1(`HTTP/1.1 ${status} ${reasonOf(status) ?? ''}\r\n`));
}

/** Writes a request's head in origin form, Host from the authority. Returns false when the output is full. */
export function writeRequestHead(transport: Transport, head: Head, framing: OutgoingFraming): boolean {
  const room = transport.reserve(roomFor(head));
  const out = room.buffer;
  let o = putSpan(out, room.offset, head.method);
  out[o++] = SPACE;
  o = head.path.end > head.path.start ? putSpan(out, o, head.path) : put(out, o, ROOT);
  o = put(out, o, VERSION_END);
  o = put(out, o, HOST);
  o = putSpan(out, o, head.authority);
  o = putLineEnd(out, o);
  o = putFields(out, o, head, framing);
  if (head.find(FieldId.te) >= 0) o = put(out, o, TE_TRAILERS);
  o = putFraming(out, o, framing);
  o = putLineEnd(out, o);
  return transport.commit(o - room.offset);
}

/** Writes a response's head. Returns false when the output is full. */
export function writeResponseHead(
  transport: Transport,
  head: Head,
  framing: OutgoingFraming,
  option: ConnectionOption,
): boolean {
  const room = transport.reserve(roomFor(head));
  const out = room.buffer;
  let o = put(out, room.offset, statusLine(head.status));
  o = putFields(out, o, head, framing);
  o = putFraming(out, o, framing);
  if (option !== 'none') o = put(out, o, option === 'close' ? CLOSE : KEEP_ALIVE);
  o = putLineEnd(out, o);
  return transport.commit(o - room.offset);
}

/** Writes an answer that the proxy makes itself. Returns false when the output is full. */
export function writeErrorResponse(transport: Transport, cause: Cause, close: boolean): boolean {
  const text = `HTTP/1.1 ${cause.status} ${reasonOf(cause.status) ?? 'Proxy Error'}\r\nl5d-proxy-error: ${cause.code}\r\ncontent-length: 0\r\n${close ? 'connection: close\r\n' : ''}\r\n`;
  const bytes = latin1(text);
  return transport.write(bytes, 0, bytes.length);
}

/** Room for a chunk's size, 13 hexadecimal digits at most, and two line ends. */
const CHUNK_OVERHEAD = 17;

/** Writes payload as one chunk. Returns false when the output is full. */
export function writeChunk(transport: Transport, buffer: Buffer, start: number, end: number): boolean {
  const n = end - start;
  if (n === 0) return true;
  const room = transport.reserve(n + CHUNK_OVERHEAD);
  const out = room.buffer;
  let o = putHexadecimal(out, room.offset, n);
  o = putLineEnd(out, o);
  o += buffer.copy(out, o, start, end);
  o = putLineEnd(out, o);
  return transport.commit(o - room.offset);
}

function putHexadecimal(out: Buffer, at: number, n: number): number {
  let digits = 1;
  for (let rest = n >>> 4; rest > 0; rest >>>= 4) digits++;
  for (let i = digits - 1, rest = n; i >= 0; i--, rest >>>= 4) out[at + i] = HEX[rest & 15] ?? 0;
  return at + digits;
}

const HEX = latin1('0123456789abcdef');
const LAST_CHUNK = latin1('0\r\n');

/** Ends a chunked body. */
export function writeLastChunk(transport: Transport, trailers: Head | undefined): boolean {
  if (trailers === undefined) {
    transport.write(LAST_CHUNK, 0, LAST_CHUNK.length);
    return transport.write(CRLF, 0, CRLF.length);
  }
  const room = transport.reserve(roomFor(trailers));
  let o = put(room.buffer, room.offset, LAST_CHUNK);
  o = putFields(room.buffer, o, trailers, 'chunked');
  o = putLineEnd(room.buffer, o);
  return transport.commit(o - room.offset);
}

function roomFor(head: Head): number {
  let n = FIXED_ROOM + spanLength(head.method) + spanLength(head.path) + spanLength(head.authority);
  for (let i = 0; i < head.count; i++) {
    n +=
      (head.nameEnd[i] ?? 0) - (head.nameStart[i] ?? 0) + (head.valueEnd[i] ?? 0) - (head.valueStart[i] ?? 0);
    n += FIELD_OVERHEAD;
  }
  return n;
}

function spanLength(span: Span): number {
  return span.end - span.start;
}

function putFields(out: Buffer, at: number, head: Head, framing: OutgoingFraming): number {
  let o = at;
  let cookies = 0;
  let upgrades = false;
  for (let i = 0; i < head.count; i++) {
    const id = (head.id[i] ?? 0) as FieldId;
    if (id !== FieldId.other) {
      if (id === FieldId.cookie) {
        cookies++;
        continue;
      }
      // There is one only where the codecs let it pass.
      if (id === FieldId.upgrade) upgrades = true;
      else if (id === FieldId.host || id === FieldId.te || isHopByHop(id) || isIsthmusField(id)) continue;
      // The framing that we choose must be the only one that the message shows.
      if (id === FieldId.contentLength && framing !== 'declared') continue;
    }
    o = copyBytes(head.nameBuffer[i] ?? CRLF, head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0, out, o);
    out[o++] = COLON;
    out[o++] = SPACE;
    o = copyBytes(head.valueBuffer[i] ?? CRLF, head.valueStart[i] ?? 0, head.valueEnd[i] ?? 0, out, o);
    o = putLineEnd(out, o);
  }
  if (upgrades) o = put(out, o, CONNECTION_UPGRADE);
  return cookies === 0 ? o : putCookies(out, o, head);
}

/** HTTP/2 may split cookies; HTTP/1 has one field (RFC 9113 section 8.2.3). */
function putCookies(out: Buffer, at: number, head: Head): number {
  let o = put(out, at, COOKIE);
  let first = true;
  for (let i = head.find(FieldId.cookie); i >= 0; i = head.find(FieldId.cookie, i + 1)) {
    if (!first) {
      out[o++] = 59;
      out[o++] = SPACE;
    }
    first = false;
    o = copyBytes(head.valueBuffer[i] ?? CRLF, head.valueStart[i] ?? 0, head.valueEnd[i] ?? 0, out, o);
  }
  return putLineEnd(out, o);
}

function putFraming(out: Buffer, o: number, framing: OutgoingFraming): number {
  if (framing === 'chunked') return put(out, o, CHUNKED);
  return framing === 'empty' ? put(out, o, NO_CONTENT) : o;
}

function putSpan(out: Buffer, o: number, span: Span): number {
  return copyBytes(span.buffer, span.start, span.end, out, o);
}

/** Two bytes are not worth a call. */
function putLineEnd(out: Buffer, o: number): number {
  out[o] = CR;
  out[o + 1] = LF;
  return o + 2;
}

function put(out: Buffer, o: number, bytes: Buffer): number {
  return copyBytes(bytes, 0, bytes.length, out, o);
}
