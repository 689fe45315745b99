import { BYTES, FIXED32, FIXED64, varint, VARINT } from './wire-format.ts';
import type { WireReader } from './wire-reader.ts';

/** How values of one type stand in protobuf's wire format. */
export interface Scalar<T> {
  /** The wire type. */
  readonly type: number;
  readonly zero: T;
  isDefault(value: T): boolean;
  encode(value: T): Buffer;
  decode(reader: WireReader): T;
}

const LARGEST_BYTE = 127n;

/** A whole number of up to 64 bits; a negative one takes ten bytes. */
function bigVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > LARGEST_BYTE; rest >>= 7n) bytes.push(Number(rest & LARGEST_BYTE) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function fixed(length: number, write: (to: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

function prefixed(bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(bytes.length), bytes]);
}

function scalar<T>(
  type: number,
  zero: T,
  encode: (value: T) => Buffer,
  decode: (reader: WireReader) => T,
  // Minus zero is not zero.
  isDefault: (value: T) => boolean = (value) => Object.is(value, zero),
): Scalar<unknown> {
  return { type, zero, encode, decode, isDefault };
}

const int32 = scalar<number>(
  VARINT,
  0,
  (value) => bigVarint(BigInt(value)),
  (reader) => reader.uint32() | 0,
);

/** By the names that proto files use, those that ours use; enumerations are open. */
export const scalars: ReadonlyMap<string, Scalar<unknown>> = new Map([
  [
    'string',
    scalar(
      BYTES,
      '',
      (value) => prefixed(Buffer.from(value)),
      (reader) => reader.text(),
    ),
  ],
  [
    'bytes',
    scalar<Uint8Array>(
      BYTES,
      new Uint8Array(),
      prefixed,
      (reader) => reader.bytes(),
      ({ length }) => length === 0,
    ),
  ],
  [
    'bool',
    scalar<boolean>(
      VARINT,
      false,
      (value) => varint(value ? 1 : 0),
      (reader) => reader.uint64() !== 0n,
    ),
  ],
  ['uint32', scalar<number>(VARINT, 0, varint, (reader) => reader.uint32())],
  ['int32', int32],
  ['enum', int32],
  ['uint64', scalar<bigint>(VARINT, 0n, bigVarint, (reader) => reader.uint64())],
  ['int64', scalar<bigint>(VARINT, 0n, bigVarint, (reader) => BigInt.asIntN(64, reader.uint64()))],
  [
    'fixed32',
    scalar<number>(
      FIXED32,
      0,
      (value) => fixed(4, (to) => to.writeUInt32LE(value)),
      (reader) => reader.fixed32(),
    ),
  ],
  [
    'fixed64',
    scalar<bigint>(
      FIXED64,
      0n,
      (value) => fixed(8, (to) => to.writeBigUInt64LE(value)),
      (reader) => reader.fixed64(),
    ),
  ],
  [
    'float',
    scalar<number>(
      FIXED32,
      0,
      (value) => fixed(4, (to) => to.writeFloatLE(value)),
      (reader) => reader.float(),
    ),
  ],
  [
    'double',
    scalar<number>(
      FIXED64,
      0,
      (value) => fixed(8, (to) => to.writeDoubleLE(value)),
      (reader) => reader.double(),
    ),
  ],
]);
