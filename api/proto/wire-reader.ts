import { isUtf8 } from 'node:buffer';
import { BYTES, FIXED32, FIXED64, VARINT } from './wire-format.ts';

/** Bytes of the longest varint. */
const MAX_VARINT = 10;

/** Reads values of protobuf's wire format one after the other. Every method throws where the bytes end too early or are not what they should be. */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  /** Reads of `bytes` what lies from `start` to `end`. */
  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The lower 32 bits of a varint, without sign. */
  uint32(): number {
    let value = 0;
    for (let i = 0; i < MAX_VARINT; i++) {
      const byte = this.#byte();
      if (i < 5) value |= (byte & 127) << (7 * i);
      if (byte < 128) return value >>> 0;
    }
    throw new Error('a number does not end');
  }

  /** All bits of a varint. */
  uint64(): bigint {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT; i++) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new Error('a number does not end');
  }

  fixed32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  fixed64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  float(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** A copy: what is read from may be memory that is used again. */
  bytes(): Uint8Array {
    const length = this.uint32();
    const start = this.#take(length);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  text(): string {
    const length = this.uint32();
    const start = this.#take(length);
    if (!isUtf8(this.#bytes.subarray(start, start + length))) throw new Error('a text is not UTF-8');
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** What lies within a message or a packed list. */
  within(): WireReader {
    const length = this.uint32();
    const start = this.#take(length);
    return new WireReader(this.#bytes, start, start + length);
  }

  /** Passes over a value. */
  skip(type: number): void {
    if (type === VARINT) this.uint32();
    else if (type === FIXED64) this.#take(8);
    else if (type === BYTES) this.#take(this.uint32());
    else if (type === FIXED32) this.#take(4);
    else throw new Error(`there is no wire type ${type} in proto3`);
  }

  #byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  /** @returns where they begin */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.#end - start) throw new Error('it is cut short');
    this.#at = start + length;
    return start;
  }
}
