import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type DescField,
  type DescMessage,
  fromBinary,
  equals,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import fc, { type Arbitrary } from 'fast-check';
import { decode, encode } from './codec.ts';
import { HttpMethod_Registered, Scheme_Registered } from './gen/linkerd/http_types_pb.js';
import { DestinationProfileSchema, UpdateSchema } from './gen/linkerd/destination_pb.js';
import * as generated from './gen/fields.ts';
import { fieldsModule, messagesOf, SERVICES } from './make-fields.ts';
import { methods } from './methods.ts';
import { delimited, tagOf, varint, VARINT, wholeNumber } from './wire-format.ts';

/** How deep messages of these tests are. */
const DEPTH = 4;
const KINDS = { unary: 'unary', server_streaming: 'server-stream', bidi_streaming: 'bidi-stream' };

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const i32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 20 });
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom('__proto__', ''));
const values: Partial<Record<ScalarType, Arbitrary<unknown>>> = {
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: bytes,
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.UINT32]: u32,
  [ScalarType.INT32]: i32,
  [ScalarType.UINT64]: u64,
  [ScalarType.INT64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [ScalarType.FIXED32]: u32,
  [ScalarType.FIXED64]: u64,
  [ScalarType.FLOAT]: fc.float({ noNaN: true }),
  [ScalarType.DOUBLE]: fc.double({ noNaN: true }),
};

function scalarValue(type: ScalarType): Arbitrary<unknown> {
  const found = values[type];
  if (found === undefined) throw new Error(`no values for ${ScalarType[type]}`);
  return found;
}

/** Values of a field as the generated types have them; undefined: the message lacks it. */
function fieldValue(field: DescField, depth: number): Arbitrary<unknown> | undefined {
  if (field.message !== undefined && depth === 0) return undefined;
  switch (field.fieldKind) {
    case 'scalar':
      return scalarValue(field.scalar);
    case 'enum':
      return i32;
    case 'message':
      return messageValue(field.message, depth - 1);
    case 'map':
      return fc
        .array(fc.tuple(fc.string({ unit: 'binary', maxLength: 9 }), text), { maxLength: 3 })
        .map(Object.fromEntries);
    default: {
      const of =
        field.listKind === 'scalar'
          ? scalarValue(field.scalar)
          : field.listKind === 'enum'
            ? i32
            : messageValue(field.message, depth - 1);
      return fc.array(of, { maxLength: 3 });
    }
  }
}

/** Some of a message's fields. */
function messageValue(message: DescMessage, depth: number): Arbitrary<object> {
  const single: Record<string, Arbitrary<unknown>> = {};
  for (const field of message.fields) {
    const value = fieldValue(field, depth);
    if (field.oneof === undefined && value !== undefined) single[field.localName] = value;
  }
  for (const oneof of message.oneofs) {
    const cases = oneof.fields.flatMap((field) => {
      const value = fieldValue(field, depth);
      return value === undefined ? [] : [fc.record({ case: fc.constant(field.localName), value })];
    });
    single[oneof.localName] = fc.oneof(fc.constant({ case: undefined }), ...cases);
  }
  return fc.record(single, { requiredKeys: [] });
}

const messages = messagesOf(SERVICES);
/** Of each kind of message equally many. */
const anyMessage = fc
  .constantFrom(...messages)
  .chain((message) => fc.tuple(fc.constant(message), messageValue(message, DEPTH)));

test('the table of fields is what the descriptors say', () => {
  assert.equal(readFileSync(new URL('gen/fields.ts', import.meta.url), 'utf8'), fieldsModule());
  const { httpMethodRegisteredNames: names, schemeRegisteredNames: schemes } = generated;
  assert.equal(names[HttpMethod_Registered.GET], 'GET');
  assert.equal(schemes[Scheme_Registered.HTTPS], 'HTTPS');
});

test('the methods are those of the services, with their messages', () => {
  const all = SERVICES.flatMap((service) => service.methods);
  for (const { path, kind, encode: encodeRequest, decode: decodeAnswer } of Object.values(methods)) {
    const found = all.find(({ parent, name }) => path === `/${parent.typeName}/${name}`);
    assert.ok(found !== undefined, path);
    assert.equal(KINDS[found.methodKind as keyof typeof KINDS], kind);
    assert.equal(encodeRequest({}).length, 0);
    assert.ok(equals(found.output, decodeAnswer(Buffer.alloc(0)), fromBinary(found.output, Buffer.alloc(0))));
  }
});

test('what it writes protobuf-es reads, and writes in the same bytes', () => {
  fc.assert(
    fc.property(anyMessage, ([message, value]) => {
      const written = encode(message.typeName, value);
      assert.deepEqual(Buffer.from(toBinary(message, fromBinary(message, written))), written);
    }),
  );
});

test('what protobuf-es writes it reads: the same message', () => {
  fc.assert(
    fc.property(anyMessage, ([message, value]) => {
      const written = toBinary(message, fromBinary(message, encode(message.typeName, value)));
      const read = decode(message.typeName, written);
      assert.ok(equals(message, read as never, fromBinary(message, written)));
      assert.deepEqual(plain(read), plain(fromBinary(message, written)));
    }),
  );
});

/** Own and inherited values of a message alike; bytes and maps as they are. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const own = Object.entries(value).filter(([name, of]) => of !== undefined && name !== '$typeName');
  return own.map(([name, of]) => [name, plain(of)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test('bytes that are no message are refused by an error that names it, or read as protobuf-es reads them', () => {
  fc.assert(
    fc.property(
      anyMessage,
      fc.nat(),
      fc.nat({ max: 255 }),
      fc.boolean(),
      ([message, value], where, byte, cut) => {
        const broken = Buffer.from(encode(message.typeName, value));
        const at = broken.length === 0 ? 0 : where % broken.length;
        if (broken.length > 0) broken[at] = byte;
        const given = cut ? broken.subarray(0, at) : broken;
        let read: object;
        try {
          read = decode(message.typeName, given);
        } catch (error) {
          assert.match(String(error), new RegExp(`this is no ${message.typeName}: `));
          return;
        }
        // What it took, it took whole.
        assert.doesNotThrow(() => fromBinary(message, encode(message.typeName, read)));
      },
    ),
  );
});

const PROFILE = DestinationProfileSchema.typeName;

test('fields that are not known, or have another form, are passed over', () => {
  const unknown = [
    wholeNumber(900, 5),
    delimited(901, Buffer.from('text')),
    varint(tagOf(902, 5)),
    Buffer.alloc(4),
  ];
  const other = [varint(tagOf(5, VARINT)), varint(1), varint(tagOf(903, 1)), Buffer.alloc(8)];
  const name = delimited(5, Buffer.from('web.shop'));
  assert.deepEqual(decode(PROFILE, Buffer.concat([...unknown, name, ...other])), decode(PROFILE, name));
});

test('what comes twice is merged', () => {
  const parts = [
    { case: 'noEndpoints', value: {} },
    { case: 'add', value: { metricLabels: { a: '1', b: '2' } } },
    { case: 'add', value: { metricLabels: { b: '3' } } },
  ];
  const both = Buffer.concat(parts.map((update) => encode(UpdateSchema.typeName, { update })));
  const merged = decode(UpdateSchema.typeName, both);
  assert.ok(equals(UpdateSchema, merged as never, fromBinary(UpdateSchema, both)));
});

test('bytes are refused', () => {
  const cases: [Buffer, RegExp][] = [
    [Buffer.from([0]), /field 0/],
    [Buffer.from([0x0b]), /wire type 3/],
    [Buffer.alloc(11, 0xff), /does not end/],
    [delimited(5, Buffer.from([0xff])), /UTF-8/],
    [Buffer.from([0x2a, 5, 65]), /cut short/],
  ];
  for (const [given, reason] of cases) assert.throws(() => decode(PROFILE, given), reason);
});

test('messages within messages have an end', () => {
  const nested = (depth: number): object => {
    let condition: object = { match: { case: 'path', value: { regex: '/' } } };
    for (let i = 0; i < depth; i++) condition = { match: { case: 'not', value: condition } };
    return { routes: [{ condition }] };
  };
  assert.doesNotThrow(() => decode(PROFILE, encode(PROFILE, nested(90))));
  assert.throws(() => decode(PROFILE, encode(PROFILE, nested(110))), /more than 100 messages/);
});
