import { huffmanCodes } from '../../proxy/http2/huffman.ts';
import { STATIC_FIELDS } from '../../proxy/http2/static-table.ts';

/** A field with its representation: `sensitive` is one that is never indexed. */
export interface ReferenceField {
  readonly name: string;
  readonly value: string;
  readonly sensitive: boolean;
}

const OVERHEAD = 32;
/** The size that both sides begin with, and that our decoder never raises. */
const MAX_TABLE = 4_096;
/** Continuation bytes of an integer: what our decoder takes at most. */
const MAX_CONTINUATION = 4;
const symbolOf = new Map(huffmanCodes().map(({ code, bits }, symbol) => [`${bits}:${code}`, symbol]));
const EOS = 256;

/** Something that RFC 7541 calls a decoding error. */
class DecodingError extends Error {}

/**
 * Decodes HPACK word for word as RFC 7541 says it: strings and a list for a table, a bit at a time. Only the codes and
 * the static table are those of the codec.
 */
export class ReferenceDecoder {
  #table: (readonly [string, string])[] = [];
  #max = MAX_TABLE;
  #b: Buffer = Buffer.alloc(0);
  #at = 0;

  /** The fields of a block (Latin-1), or undefined when it cannot be decoded. */
  decode(block: Buffer): ReferenceField[] | undefined {
    this.#b = block;
    this.#at = 0;
    const fields: ReferenceField[] = [];
    try {
      while (this.#at < block.length) this.#representation(fields);
    } catch (error) {
      if (error instanceof DecodingError) return undefined;
      throw error;
    }
    return fields;
  }

  #representation(fields: ReferenceField[]): void {
    const first = this.#b[this.#at] ?? 0;
    if (first >= 0x80) {
      const [name, value] = this.#entry(this.#integer(7));
      fields.push({ name, value, sensitive: false });
    } else if (first >= 0x40) {
      const [name, value] = this.#literal(6);
      fields.push({ name, value, sensitive: false });
      this.#table.unshift([name, value]);
      this.#evict();
    } else if (first >= 0x20) {
      const size = this.#integer(5);
      // Section 4.2: only at the beginning of a block, and not above what was agreed.
      if (fields.length > 0 || size > MAX_TABLE) throw new DecodingError('size update');
      this.#max = size;
      this.#evict();
    } else {
      const [name, value] = this.#literal(4);
      fields.push({ name, value, sensitive: first >= 0x10 });
    }
  }

  #literal(prefix: number): readonly [string, string] {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#entry(index)[0];
    return [name, this.#string()];
  }

  #entry(index: number): readonly [string, string] {
    const entry =
      index <= STATIC_FIELDS.length
        ? STATIC_FIELDS[index - 1]
        : this.#table[index - STATIC_FIELDS.length - 1];
    if (entry === undefined) throw new DecodingError('index');
    return entry;
  }

  #evict(): void {
    const size = (): number =>
      this.#table.reduce((sum, [name, value]) => sum + name.length + value.length + OVERHEAD, 0);
    while (size() > this.#max) this.#table.pop();
  }

  /** Section 5.1. */
  #integer(prefix: number): number {
    const full = 2 ** prefix - 1;
    let value = this.#byte() & full;
    if (value < full) return value;
    for (let i = 0; i < MAX_CONTINUATION; i++) {
      const byte = this.#byte();
      value += (byte & 127) * 128 ** i;
      if (byte < 128) return value;
    }
    throw new DecodingError('integer');
  }

  #byte(): number {
    const byte = this.#b[this.#at++];
    if (byte === undefined) throw new DecodingError('end');
    return byte;
  }

  /** Section 5.2. */
  #string(): string {
    const isCoded = (this.#b[this.#at] ?? 0) >= 128;
    const length = this.#integer(7);
    const bytes = this.#b.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new DecodingError('end');
    this.#at += length;
    return isCoded ? huffman(bytes) : bytes.toString('latin1');
  }
}

function huffman(bytes: Buffer): string {
  let text = '';
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let i = 7; i >= 0; i--) {
      code = code * 2 + ((byte >> i) & 1);
      bits++;
      const symbol = symbolOf.get(`${bits}:${code}`);
      if (symbol === EOS) throw new DecodingError('EOS');
      if (symbol === undefined) continue;
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
    }
  }
  // Padding: less than a byte, and the beginning of EOS, which is all ones.
  if (bits > 7 || code !== 2 ** bits - 1) throw new DecodingError('padding');
  return text;
}
