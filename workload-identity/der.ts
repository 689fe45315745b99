/**
 * DER (ITU-T X.690), as much of it as X.509 certificates and PKCS#10 requests need. Writing gives the one canonical form;
 * reading refuses every other form, so that no two readers can understand the same bytes differently.
 */

/** Tags, class and constructed bits included. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A context-specific tag, [n]. */
export function contextTag(n: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | n;
}

/** Bytes are not the DER that was expected. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DerError';
  }
}

/** Deepest certificate structures are about 8; the limit keeps hostile input from deep recursion. */
const MAX_LENGTH_BYTES = 3;

/** One element: tag, length, content. */
export function element(elementTag: number, ...contents: Uint8Array[]): Buffer {
  let length = 0;
  for (const content of contents) length += content.length;
  const header = lengthHeader(elementTag, length);
  return Buffer.concat([header, ...contents], header.length + length);
}

function lengthHeader(elementTag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([elementTag, length]);
  if (length < 0x100) return Buffer.from([elementTag, 0x81, length]);
  if (length < 0x1_0000) return Buffer.from([elementTag, 0x82, length >> 8, length & 0xff]);
  if (length < 0x100_0000) {
    return Buffer.from([elementTag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  }
  throw new DerError(`an element of ${length} bytes is too long`);
}

export function sequence(...contents: Uint8Array[]): Buffer {
  return element(tag.sequence, ...contents);
}

/** A non-negative integer from big-endian bytes: leading zeros are dropped, a sign byte is added. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return (digits[0] ?? 0) >= 0x80 || digits.length === 0
    ? element(tag.integer, Buffer.from([0]), digits)
    : element(tag.integer, digits);
}

export function smallInteger(value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(value, 0, 6);
  return unsignedInteger(bytes);
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...arcs] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...arcs]) {
    const group = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
      group.unshift((rest % 128) | 0x80);
    }
    bytes.push(...group);
  }
  return element(tag.oid, Buffer.from(bytes));
}

export function octetString(...contents: Uint8Array[]): Buffer {
  return element(tag.octetString, ...contents);
}

/** A bit string; `unusedBits` of the last byte do not count. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(tag.bitString, Buffer.from([unusedBits]), bytes);
}

export const derTrue: Buffer = element(tag.boolean, Buffer.from([0xff]));

/** Years from which GeneralizedTime is written (RFC 5280 4.1.2.5). */
const FIRST_GENERALIZED_YEAR = 2050;
const UTC_TIME_PIVOT = 50;

/** A time with whole seconds, in the form that RFC 5280 4.1.2.5 prescribes for its year. */
export function time(ms: number): Buffer {
  const iso = new Date(ms).toISOString();
  const digits = iso.slice(0, 19).replace(/[-:T]/g, '');
  return new Date(ms).getUTCFullYear() < FIRST_GENERALIZED_YEAR
    ? element(tag.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : element(tag.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'));
}

/** An element that was read. */
export interface DerElement {
  tag: number;
  /** Without tag and length. */
  content: Buffer;
  /** With tag and length. */
  raw: Buffer;
}

/** Reads elements one after the other. Every method throws a `DerError` when the bytes are not what was asked for. */
export class DerReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The next element's tag; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#offset];
  }

  read(): DerElement {
    const start = this.#offset;
    const elementTag = this.#bytes[start];
    const first = this.#bytes[start + 1];
    if (elementTag === undefined || first === undefined)
      throw new DerError('the bytes end inside an element');
    if ((elementTag & 0x1f) === 0x1f) throw new DerError('tags of more than one byte are not used in X.509');
    const { length, size } =
      first < 0x80 ? { length: first, size: 0 } : this.#longLength(start + 2, first & 0x7f);
    const contentStart = start + 2 + size;
    const end = contentStart + length;
    if (end > this.#bytes.length) throw new DerError('the bytes end inside an element');
    this.#offset = end;
    return {
      tag: elementTag,
      content: this.#bytes.subarray(contentStart, end),
      raw: this.#bytes.subarray(start, end),
    };
  }

  #longLength(offset: number, size: number): { length: number; size: number } {
    if (size === 0 || size > MAX_LENGTH_BYTES) throw new DerError('a length has a form that DER forbids');
    if (offset + size > this.#bytes.length) throw new DerError('the bytes end inside an element');
    const length = this.#bytes.readUIntBE(offset, size);
    if (length < 0x80 || length < 2 ** (8 * (size - 1)))
      throw new DerError('a length is not in its shortest form');
    return { length, size };
  }

  expect(expected: number): DerElement {
    const next = this.read();
    if (next.tag !== expected) {
      throw new DerError(`expected tag 0x${expected.toString(16)}, found 0x${next.tag.toString(16)}`);
    }
    return next;
  }

  /** The content of the next element, which must have this tag, as a reader of its own. */
  enter(expected: number = tag.sequence): DerReader {
    return new DerReader(this.expect(expected).content);
  }

  /** The next element when it has this tag. */
  optional(wanted: number): DerElement | undefined {
    return this.peek() === wanted ? this.read() : undefined;
  }

  oid(): string {
    return decodeOid(this.expect(tag.oid).content);
  }

  boolean(): boolean {
    const { content } = this.expect(tag.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
      throw new DerError('a boolean is broken');
    return content[0] === 0xff;
  }

  /** An integer from 0 to 2^31 - 1. */
  smallInteger(): number {
    const { content } = this.expect(tag.integer);
    if (content.length === 0 || content.length > 4) throw new DerError('an integer is out of range');
    const value = content.readIntBE(0, content.length);
    if (value < 0) throw new DerError('an integer is negative');
    return value;
  }

  /** A bit string of whole bytes. */
  bitString(): Buffer {
    const { content } = this.expect(tag.bitString);
    if (content[0] !== 0) throw new DerError('a bit string does not end on a byte');
    return content.subarray(1);
  }

  end(): void {
    if (!this.done) throw new DerError('there are bytes after the end');
  }
}

function decodeOid(content: Buffer): string {
  const arcs: number[] = [];
  let value = 0;
  for (const [i, byte] of content.entries()) {
    if (value === 0 && byte === 0x80) throw new DerError('an object identifier is not in its shortest form');
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER / 128) throw new DerError('an object identifier is out of range');
    if (byte < 0x80) {
      arcs.push(value);
      value = 0;
    } else if (i === content.length - 1) throw new DerError('an object identifier is cut off');
  }
  const [first] = arcs;
  if (first === undefined) throw new DerError('an object identifier is empty');
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

/** ms since the epoch of a UTCTime or GeneralizedTime in RFC 5280's form. */
export function decodeTime(value: DerElement): number {
  const text = value.content.toString('latin1');
  const utc = value.tag === tag.utcTime;
  if (!utc && value.tag !== tag.generalizedTime) throw new DerError('a time was expected');
  const match = (
    utc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
  ).exec(text);
  if (match === null) throw new DerError('a time has a form that RFC 5280 forbids');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = utc ? year + (year < UTC_TIME_PIVOT ? 2000 : 1900) : year;
  const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  if (Number.isNaN(ms) || time(ms).compare(value.raw) !== 0) throw new DerError('a time does not exist');
  return ms;
}
