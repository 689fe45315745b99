import { fields } from './gen/fields.ts';
import { type Scalar, scalars } from './scalars.ts';
import { BYTES, delimited, tagOf, varint } from './wire-format.ts';
import { WireReader } from './wire-reader.ts';

/**
 * Messages of the calls that processes of the data plane make, between bytes and objects of the shape that the
 * generated types describe. It goes by a table of fields that `npm run generate` writes. protobuf-es does the same for
 * everybody else; its runtime and descriptors are a sixth of a sidecar's start.
 */

/** Messages within messages: one kind may hold itself. As protobuf-es has it. */
const MAX_DEPTH = 100;

type Content = Record<string, unknown>;
interface Choice {
  case: string | undefined;
  value?: unknown;
}

/** What a field holds: a number, a text or bytes; a message, by its name; texts by texts. */
type Kind =
  | { readonly kind: 'scalar'; readonly scalar: Scalar<unknown> }
  | { readonly kind: 'message'; readonly name: string }
  | { readonly kind: 'map' };

interface Field {
  readonly number: number;
  readonly name: string;
  /** The oneof that it is a case of. */
  readonly choice: string | undefined;
  readonly list: boolean;
  readonly of: Kind;
}

/** The message as bytes. What `message` lacks has its default. @param name with its package */
export function encode(name: string, message: object): Buffer {
  const content = message as Content;
  return Buffer.concat(fieldsOf(name).map((field) => encodeField(field, valueOf(field, content))));
}

/** The message that the bytes stand for. What is not known in it is passed over. Throws where they are none of that kind. @param name with its package */
export function decode(name: string, bytes: Uint8Array): object {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return decodeInto(name, empty(name), new WireReader(buffer), 0);
  } catch (error) {
    throw new Error(`this is no ${name}: ${(error as Error).message}`, { cause: error });
  }
}

const known = new Map<string, readonly Field[]>();

function fieldsOf(name: string): readonly Field[] {
  let found = known.get(name);
  if (found === undefined) {
    const text = fields[name];
    if (text === undefined) throw new Error(`no message ${name} is known`);
    found = text === '' ? [] : text.split('; ').map(parseField);
    known.set(name, found);
  }
  return found;
}

/** A field as `gen/fields.ts` has it. */
function parseField(text: string): Field {
  const [number = '', path = '', type = ''] = text.split(' ');
  const [name = '', choice] = path.split('.').toReversed();
  const list = type.endsWith('[]');
  return { number: Number(number), name, choice, list, of: kindOf(list ? type.slice(0, -2) : type) };
}

function kindOf(type: string): Kind {
  if (type === 'map') return { kind: 'map' };
  const scalar = scalars.get(type);
  return scalar === undefined ? { kind: 'message', name: type } : { kind: 'scalar', scalar };
}

/** Undefined: it is not there. */
function valueOf({ choice, name }: Field, content: Content): unknown {
  if (choice === undefined) return content[name];
  const chosen = content[choice] as Choice | undefined;
  return chosen?.case === name ? chosen.value : undefined;
}

const NOTHING = Buffer.alloc(0);

function encodeField(field: Field, value: unknown): Buffer {
  if (value === undefined) return NOTHING;
  const { number, choice, list, of } = field;
  if (of.kind === 'map') {
    const entries = Object.entries(value as Record<string, string>);
    return Buffer.concat(entries.map((entry) => delimited(number, ...entry.map(entryPart))));
  }
  if (of.kind === 'message') {
    const all = list ? (value as object[]) : [value as object];
    return Buffer.concat(all.map((one) => delimited(number, encode(of.name, one))));
  }
  const { scalar } = of;
  if (list) return encodeList(number, scalar, value as unknown[]);
  // A field that stands alone is not written when it has its default; a case is, since which one it is counts too.
  if (choice === undefined && scalar.isDefault(value)) return NOTHING;
  return Buffer.concat([varint(tagOf(number, scalar.type)), scalar.encode(value)]);
}

/** Key, then value. */
function entryPart(text: string, index: number): Buffer {
  return delimited(index + 1, Buffer.from(text));
}

function encodeList(number: number, scalar: Scalar<unknown>, values: readonly unknown[]): Buffer {
  const encoded = values.map((value) => scalar.encode(value));
  if (values.length === 0) return NOTHING;
  if (scalar.type !== BYTES) return delimited(number, ...encoded);
  return Buffer.concat(encoded.flatMap((bytes) => [varint(tagOf(number, BYTES)), bytes]));
}

function empty(name: string): Content {
  const content: Content = { $typeName: name };
  for (const { choice, name: own, list, of } of fieldsOf(name)) {
    if (choice !== undefined) content[choice] ??= { case: undefined };
    else if (list) content[own] = [];
    else if (of.kind === 'map') content[own] = {};
    else if (of.kind === 'scalar') content[own] = of.scalar.zero;
  }
  return content;
}

/** What comes twice is merged, the later over the earlier, as the encoding demands. */
function decodeInto(name: string, content: Content, reader: WireReader, depth: number): Content {
  if (depth > MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} messages lie within each other`);
  const all = fieldsOf(name);
  while (!reader.done) {
    const tag = reader.uint32();
    const [number, type] = [tag >>> 3, tag & 7];
    if (number === 0) throw new Error('there is no field 0');
    const field = all.find((one) => one.number === number);
    if (field === undefined || !decodeField(field, type, content, reader, depth)) reader.skip(type);
  }
  return content;
}

/** False: it has another form than it should, and was not read. */
function decodeField(
  field: Field,
  type: number,
  content: Content,
  reader: WireReader,
  depth: number,
): boolean {
  const { of, list, name } = field;
  if (of.kind === 'scalar') {
    if (list && type === BYTES && of.scalar.type !== BYTES) {
      for (const packed = reader.within(); !packed.done;) keep(field, content, of.scalar.decode(packed));
      return true;
    }
    if (type !== of.scalar.type) return false;
    keep(field, content, of.scalar.decode(reader));
    return true;
  }
  if (type !== BYTES) return false;
  if (of.kind === 'map') decodeEntry(reader.within(), content[name] as Record<string, string>);
  else {
    const before = list ? undefined : (valueOf(field, content) as Content | undefined);
    keep(field, content, decodeInto(of.name, before ?? empty(of.name), reader.within(), depth + 1));
  }
  return true;
}

function keep({ choice, list, name }: Field, content: Content, value: unknown): void {
  if (choice !== undefined) content[choice] = { case: name, value } satisfies Choice;
  else if (list) (content[name] as unknown[]).push(value);
  else content[name] = value;
}

function decodeEntry(reader: WireReader, into: Record<string, string>): void {
  const parts = ['', '', ''];
  while (!reader.done) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    if ((number === 1 || number === 2) && (tag & 7) === BYTES) parts[number] = reader.text();
    else reader.skip(tag & 7);
  }
  const [, key = '', value = ''] = parts;
  // Also a key that would be something else to an object.
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
}
