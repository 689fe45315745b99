import { copyBytes } from '../bytes/bytes.ts';
import { BYTES, delimited, tagOf, VARINT, varintLength, writeVarint } from '../../api/proto/wire-format.ts';

/** `opentelemetry.proto.common.v1`: KeyValue.key, KeyValue.value, AnyValue.string_value, AnyValue.int_value. */
const KEY = 1;
const VALUE = 2;
const STRING_VALUE = 1;
const INT_VALUE = 3;

/** The name of an attribute, as it stands in front of its value. */
export function attributeKey(name: string): Buffer {
  return delimited(KEY, Buffer.from(name));
}

/** A whole attribute that is known in advance. @param field of the message that it stands in */
export function textAttribute(field: number, name: string, value: string): Buffer {
  return delimited(field, attributeKey(name), delimited(VALUE, delimited(STRING_VALUE, Buffer.from(value))));
}

/** The same for a number. */
export function numberAttribute(field: number, name: string, value: number): Buffer {
  const any = Buffer.alloc(1 + varintLength(value));
  any[0] = tagOf(INT_VALUE, VARINT);
  writeVarint(any, 1, value);
  return delimited(field, attributeKey(name), delimited(VALUE, any));
}

/**
 * Writes an attribute with bytes that a client sent. Protobuf wants UTF-8, and a collector refuses a whole batch for
 * one string that is none: what is beyond ASCII is taken as Latin-1.
 * @returns where the next bytes go
 */
export function writeText(
  to: Buffer,
  at: number,
  field: number,
  key: Buffer,
  from: Buffer,
  start: number,
  end: number,
): number {
  const text = utf8Length(from, start, end);
  const any = 1 + varintLength(text) + text;
  let o = writeHead(to, at, field, key, any);
  to[o++] = tagOf(STRING_VALUE, BYTES);
  o = writeVarint(to, o, text);
  return writeUtf8(to, o, from, start, end);
}

/** Writes an attribute that is a number, 0 or more. */
export function writeNumber(to: Buffer, at: number, field: number, key: Buffer, value: number): number {
  let o = writeHead(to, at, field, key, 1 + varintLength(value));
  to[o++] = tagOf(INT_VALUE, VARINT);
  return writeVarint(to, o, value);
}

function writeHead(to: Buffer, at: number, field: number, key: Buffer, any: number): number {
  to[at] = tagOf(field, BYTES);
  let o = writeVarint(to, at + 1, key.length + 1 + varintLength(any) + any);
  o = copyBytes(key, 0, key.length, to, o);
  to[o++] = tagOf(VALUE, BYTES);
  return writeVarint(to, o, any);
}

function utf8Length(from: Buffer, start: number, end: number): number {
  let length = end - start;
  for (let i = start; i < end; i++) if ((from[i] ?? 0) > 127) length++;
  return length;
}

function writeUtf8(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let o = at;
  for (let i = start; i < end; i++) {
    const c = from[i] ?? 0;
    if (c < 128) to[o++] = c;
    else {
      to[o++] = 0xc0 | (c >> 6);
      to[o++] = 0x80 | (c & 63);
    }
  }
  return o;
}
