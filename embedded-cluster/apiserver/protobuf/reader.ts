/** Reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding). Malformed input throws RangeError. */
export class ProtobufReader {
  readonly #buffer: Buffer;
  #offset = 0;
  #wireType = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  /** Each field's number; its value must be read, or skipped, before the next. */
  *fields(): Generator<{ number: number; wireType: number; reader: ProtobufReader }> {
    while (this.#offset < this.#buffer.length) {
      const tag = Number(this.#varint());
      this.#wireType = tag & 7;
      yield { number: Math.floor(tag / 8), wireType: this.#wireType, reader: this };
    }
  }

  /** A varint as a signed number; int32 and int64 alike. */
  int(): number {
    this.#expect(0);
    return Number(BigInt.asIntN(64, this.#varint()));
  }

  double(): number {
    this.#expect(1);
    return this.#take(8).readDoubleLE();
  }

  bytes(): Buffer {
    this.#expect(2);
    return this.#take(Number(this.#varint()));
  }

  string(): string {
    return this.bytes().toString('utf8');
  }

  nested(): ProtobufReader {
    return new ProtobufReader(this.bytes());
  }

  skip(): void {
    switch (this.#wireType) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#take(8);
        return;
      case 2:
        this.#take(Number(this.#varint()));
        return;
      case 5:
        this.#take(4);
        return;
      default:
        throw new RangeError(`wire type ${this.#wireType} is not supported`);
    }
  }

  #expect(wireType: number): void {
    if (this.#wireType !== wireType)
      throw new RangeError(`wire type ${this.#wireType} where ${wireType} was expected`);
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1).readUInt8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError('a varint is longer than 10 bytes');
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#buffer.length) throw new RangeError('it ends within a field');
    const taken = this.#buffer.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}
