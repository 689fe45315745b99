import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { badRequest } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { ProtobufReader } from './reader.ts';

/**
 * What Go clients that know the built-in kinds send by default (kubectl's `create` and `auth`, client-go's typed
 * clients). Answers are JSON, which they take as well.
 */
export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';

/** Before every message: `k8s` and NUL (apimachinery `runtime/serializer/protobuf`). */
const MAGIC = Buffer.from('k8s\0');

interface Field {
  /** Undefined when its own fields stand in its place. */
  name: string | undefined;
  type: string;
  /** Left out of JSON when it is zero. */
  optional: boolean;
}

type Message = ReadonlyMap<number, Field>;

let sources: Readonly<Record<string, string>> | undefined;
const messages = new Map<string, Message>();

/** Messages are read from `fields.json` when first needed; most servers never need most of them. */
function messageOf(name: string): Message | undefined {
  const known = messages.get(name);
  if (known !== undefined) return known;
  sources ??= JSON.parse(readFileSync(join(import.meta.dirname, 'fields.json'), 'utf8')) as Record<
    string,
    string
  >;
  const source = sources[name];
  if (source === undefined) return undefined;
  const message = new Map(source.split(', ').map(parseField));
  messages.set(name, message);
  return message;
}

function parseField(text: string): [number, Field] {
  const [number = '', name = '', type = ''] = text.split(' ');
  const optional = type.endsWith('?');
  return [
    Number(number),
    { name: name === '-' ? undefined : name, type: optional ? type.slice(0, -1) : type, optional },
  ];
}

/** A body in Kubernetes' protobuf encoding as the JSON object that it stands for. Throws 400. */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw badRequest('the body is not in Kubernetes\' protobuf encoding: it does not begin with "k8s"');
  try {
    return decodeEnvelope(body.subarray(MAGIC.length));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badRequest(`the body is not valid protobuf: ${error.message}`);
  }
}

/** runtime.Unknown: the type, and the object as bytes. */
function decodeEnvelope(body: Buffer): JsonObject {
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  for (const { number, reader } of new ProtobufReader(body).fields()) {
    if (number === 1) {
      for (const inner of reader.nested().fields()) {
        if (inner.number === 1) apiVersion = inner.reader.string();
        else if (inner.number === 2) kind = inner.reader.string();
        else inner.reader.skip();
      }
    } else if (number === 2) raw = reader.bytes();
    else reader.skip();
  }
  const object = decodeMessage(messageName(apiVersion, kind), raw);
  return { apiVersion, kind, ...object };
}

/** Package of a group where it is not the group's first word. */
const PACKAGES: Readonly<Record<string, string>> = { '': 'core' };

function messageName(apiVersion: string, kind: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/', 2) : ['', apiVersion];
  if (kind === 'DeleteOptions') return `meta/v1.${kind}`;
  const word = group?.split('.', 1)[0] ?? '';
  const name = `${PACKAGES[word] ?? word}/${version ?? ''}.${kind}`;
  if (messageOf(name) === undefined)
    throw badRequest(
      `no kind ${JSON.stringify(kind)} of version ${JSON.stringify(apiVersion)} is known in protobuf; send it as JSON`,
    );
  return name;
}

function decodeMessage(name: string, body: Buffer): JsonObject {
  const message = messageOf(name);
  if (message === undefined) throw badRequest(`the type ${name} is not known in protobuf; send it as JSON`);
  const result: JsonObject = {};
  for (const { number, reader } of new ProtobufReader(body).fields()) {
    const field = message.get(number);
    if (field === undefined) reader.skip();
    else addField(result, field, reader);
  }
  return result;
}

function addField(result: JsonObject, { name, type, optional }: Field, reader: ProtobufReader): void {
  if (name === undefined) {
    Object.assign(result, decodeMessage(type, reader.bytes()));
  } else if (type.startsWith('[]')) {
    const list = (result[name] ??= []) as unknown[];
    list.push(decodeValue(type.slice(2), reader));
  } else if (type.startsWith('map:')) {
    const map = (result[name] ??= {}) as JsonObject;
    const [key, value] = decodeEntry(type.slice(4), reader.nested());
    map[key] = value;
  } else {
    const value = decodeValue(type, reader);
    if (optional && isZero(value)) delete result[name];
    else result[name] = value;
  }
}

function isZero(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === null || value === undefined) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function decodeEntry(type: string, reader: ProtobufReader): [string, unknown] {
  let key = '';
  let value: unknown = type === 'string' || type === 'bytes' ? '' : undefined;
  for (const field of reader.fields()) {
    if (field.number === 1) key = field.reader.string();
    else value = decodeValue(type, field.reader);
  }
  return [key, value];
}

function decodeValue(type: string, reader: ProtobufReader): unknown {
  switch (type) {
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.bytes().toString('base64');
    case 'bool':
      return reader.int() !== 0;
    case 'int':
      return reader.int();
    case 'double':
      return reader.double();
    case 'raw':
      return decodeRaw(reader.nested());
    case 'quantity':
      return scalars(reader).strings.get(1) ?? '';
    case 'duration':
      return `${(scalars(reader).numbers.get(1) ?? 0) / 1e9}s`;
    case 'time':
    case 'microtime':
      return decodeTime(reader, type === 'microtime');
    case 'intOrString': {
      const { numbers, strings } = scalars(reader);
      return (numbers.get(1) ?? 0) === 0 ? (numbers.get(2) ?? 0) : (strings.get(3) ?? '');
    }
    default:
      if (type.startsWith('items:')) return decodeItems(type.slice('items:'.length), reader.nested());
      return decodeMessage(type, reader.bytes());
  }
}

/** The fields of a small message of numbers and strings. */
function scalars(reader: ProtobufReader): { numbers: Map<number, number>; strings: Map<number, string> } {
  const numbers = new Map<number, number>();
  const strings = new Map<number, string>();
  for (const field of reader.nested().fields()) {
    if (field.wireType === 0) numbers.set(field.number, field.reader.int());
    else if (field.wireType === 2) strings.set(field.number, field.reader.string());
    else field.reader.skip();
  }
  return { numbers, strings };
}

/** Null for the zero time, as Go writes it. */
function decodeTime(reader: ProtobufReader, micro: boolean): string | null {
  const { numbers } = scalars(reader);
  const seconds = numbers.get(1);
  if (seconds === undefined) return null;
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  return micro ? `${text}.${String(Math.floor((numbers.get(2) ?? 0) / 1000)).padStart(6, '0')}Z` : `${text}Z`;
}

/** JSON as bytes in the message's only field. */
function decodeRaw(reader: ProtobufReader): unknown {
  let raw = '';
  for (const field of reader.fields()) raw = field.reader.string();
  try {
    return raw === '' ? null : (JSON.parse(raw) as unknown);
  } catch {
    throw badRequest('the body holds a raw extension that is not JSON');
  }
}

function decodeItems(type: string, reader: ProtobufReader): unknown[] {
  const items: unknown[] = [];
  for (const field of reader.fields()) items.push(decodeValue(type, field.reader));
  return items;
}
