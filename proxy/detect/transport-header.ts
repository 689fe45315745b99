import {
  BYTES,
  delimited,
  FIXED32,
  FIXED64,
  tagOf,
  VARINT,
  wholeNumber,
} from '../../api/proto/wire-format.ts';

/** What a connection of ALPN `transport.l5d.io/v1` says first. */
export interface TransportHeader {
  /** 0 to 65535. */
  port: number;
  /** Empty: the connection is for `port` of this pod. */
  name: string;
  /** undefined: opaque bytes. */
  protocol: 'http1' | 'http2' | undefined;
}

const PREFACE = Buffer.from('transport.l5d.io/v1\r\n\r\n');
const LENGTH_BYTES = 4;
/** Bytes of the message: a DNS name has at most 253, the rest is a few numbers; room for fields of later versions. */
export const MAX_TRANSPORT_HEADER = 1024;
/** A DNS name. */
const MAX_NAME = 253;

const PORT_FIELD = 1;
const NAME_FIELD = 2;
const PROTOCOL_FIELD = 3;
const LAST_FIELD = PROTOCOL_FIELD;
const PORT = tagOf(PORT_FIELD, VARINT);
const NAME = tagOf(NAME_FIELD, BYTES);
const PROTOCOL = tagOf(PROTOCOL_FIELD, BYTES);
/** Members of SessionProtocol's oneof: messages without fields. */
const HTTP1_FIELD = 1;
const HTTP2_FIELD = 2;
const LAST_PROTOCOL = HTTP2_FIELD;
const HTTP1 = tagOf(HTTP1_FIELD, BYTES);
const HTTP2 = tagOf(HTTP2_FIELD, BYTES);
/** Field numbers have 29 bits. */
const MAX_TAG = 2 ** 32 - 1;

/** Bytes of a header, preface and length included. */
export function encodeTransportHeader(header: TransportHeader): Buffer {
  const name = Buffer.from(header.name);
  const fields: Buffer[] = [];
  if (header.port !== 0) fields.push(wholeNumber(PORT_FIELD, header.port));
  if (name.length > 0) fields.push(delimited(NAME_FIELD, name));
  // SessionProtocol, with one empty message inside.
  if (header.protocol !== undefined) {
    const member = header.protocol === 'http1' ? HTTP1_FIELD : HTTP2_FIELD;
    fields.push(delimited(PROTOCOL_FIELD, delimited(member)));
  }
  const body = Buffer.concat(fields);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([PREFACE, length, body]);
}

/** What `TransportHeaderReader.push` returns while there is no header. */
export const TransportHeaderStatus = { more: -1, malformed: -2 } as const;

/** Reads a header in any pieces. */
export class TransportHeaderReader {
  readonly #bytes = Buffer.alloc(PREFACE.length + LENGTH_BYTES + MAX_TRANSPORT_HEADER);
  #length = 0;
  #header: TransportHeader | undefined = undefined;
  #error = '';

  /** Set when `push` said that it is complete. */
  get header(): TransportHeader | undefined {
    return this.#header;
  }

  /** Why it is malformed. */
  get error(): string {
    return this.#error;
  }

  /** Number of bytes of `buffer[start, end)` that belonged to the header, when it is complete; else a `TransportHeaderStatus`. */
  push(buffer: Buffer, start: number, end: number): number {
    let i = start;
    while (i < end) {
      this.#bytes[this.#length++] = buffer[i++] ?? 0;
      if (this.#length <= PREFACE.length) {
        if (this.#bytes[this.#length - 1] !== PREFACE[this.#length - 1])
          return this.#fail('it does not begin with its preface');
        continue;
      }
      if (this.#length < PREFACE.length + LENGTH_BYTES) continue;
      const size = this.#bytes.readUInt32BE(PREFACE.length);
      if (size > MAX_TRANSPORT_HEADER)
        return this.#fail(`it is ${size} bytes long, more than ${MAX_TRANSPORT_HEADER}`);
      if (this.#length < PREFACE.length + LENGTH_BYTES + size) continue;
      const parsed = parseHeader(this.#bytes.subarray(PREFACE.length + LENGTH_BYTES, this.#length));
      if (typeof parsed === 'string') return this.#fail(parsed);
      this.#header = parsed;
      return i - start;
    }
    return TransportHeaderStatus.more;
  }

  #fail(error: string): number {
    this.#error = error;
    return TransportHeaderStatus.malformed;
  }
}

/** Cursor over a protobuf message. */
interface Cursor {
  bytes: Buffer;
  at: number;
}

/** The header, or what is wrong with it. Fields that we don't know are skipped, as protobuf asks. */
function parseHeader(bytes: Buffer): TransportHeader | string {
  const header: TransportHeader = { port: 0, name: '', protocol: undefined };
  const cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) {
    const tag = readTag(cursor);
    if (tag === PORT) {
      header.port = readVarint(cursor);
      if (header.port < 0 || header.port > 65_535) return 'its port is out of range';
    } else if (tag === NAME) {
      const name = readBytes(cursor);
      if (name === undefined || !isName(name)) return 'its name is no DNS name';
      header.name = name.toString('latin1');
    } else if (tag === PROTOCOL) {
      const protocol = readBytes(cursor);
      if (protocol === undefined) return 'its session protocol is cut off';
      const known = parseProtocol(protocol);
      if (known === 'malformed') return 'its session protocol is no protobuf message';
      // Where a message comes twice, the second adds to the first.
      header.protocol = known ?? header.protocol;
    } else if (!skip(cursor, tag, LAST_FIELD)) return 'it is no protobuf message of a header';
  }
  return header;
}

/** The last member of a oneof counts. */
function parseProtocol(bytes: Buffer): TransportHeader['protocol'] | 'malformed' {
  const cursor = { bytes, at: 0 };
  let protocol: TransportHeader['protocol'];
  while (cursor.at < bytes.length) {
    const tag = readTag(cursor);
    if (tag === HTTP1 || tag === HTTP2) {
      const message = readBytes(cursor);
      if (message === undefined || !isMessage(message)) return 'malformed';
      protocol = tag === HTTP1 ? 'http1' : 'http2';
    } else if (!skip(cursor, tag, LAST_PROTOCOL)) return 'malformed';
  }
  return protocol;
}

/** Fields follow one another to the end, whatever they are. */
function isMessage(bytes: Buffer): boolean {
  const cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) if (!skip(cursor, readTag(cursor), 0)) return false;
  return true;
}

function isName(name: Buffer): boolean {
  return name.length <= MAX_NAME && /^[a-z0-9._-]*$/i.test(name.toString('latin1'));
}

/** -1: cut off or longer than ten bytes. Values above 2^53 lose their low bits; none that we read is allowed to be that large. */
function readVarint(cursor: Cursor): number {
  let value = 0;
  let factor = 1;
  for (let n = 0; n < 10; n++) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined) return -1;
    cursor.at++;
    value += (byte & 127) * factor;
    if (byte < 128) return value;
    factor *= 128;
  }
  return -1;
}

function readBytes(cursor: Cursor): Buffer | undefined {
  const length = readVarint(cursor);
  if (length < 0 || cursor.at + length > cursor.bytes.length) return undefined;
  cursor.at += length;
  return cursor.bytes.subarray(cursor.at - length, cursor.at);
}

/** Number and type of a field; -1: it is none. */
function readTag(cursor: Cursor): number {
  const tag = readVarint(cursor);
  return tag >= 8 && tag <= MAX_TAG ? tag : -1;
}

/** Skips a field that we don't know; `known`: the last number of those that we do, which have come with another type then. */
function skip(cursor: Cursor, tag: number, known: number): boolean {
  if (tag < (known + 1) * 8) return false;
  switch (tag % 8) {
    case VARINT:
      return readVarint(cursor) >= 0;
    case BYTES:
      return readBytes(cursor) !== undefined;
    case FIXED64:
      cursor.at += 8;
      return cursor.at <= cursor.bytes.length;
    case FIXED32:
      cursor.at += 4;
      return cursor.at <= cursor.bytes.length;
    default:
      return false;
  }
}
