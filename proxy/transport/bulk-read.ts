/** Bytes of a full TLS record (RFC 8446 section 5.1): more of them are likely to follow it in the same turn. */
export const RECORD_BYTES = 16 * 1024;
/** Records that are handed on together: as much as a read without TLS brings. */
const RECORDS = 4;

/**
 * Where a connection's TLS records are laid one behind the other, to be handed on together: all layers above are then
 * gone through once for four of them. The runtime calls for each record.
 */
export class BulkRead {
  readonly buffer = Buffer.allocUnsafeSlow(RECORDS * RECORD_BYTES);
  readonly #records = Array.from({ length: RECORDS }, (_, i) =>
    this.buffer.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES),
  );
  #start = 0;
  #end = 0;

  /** `buffer[start, end)` is held; the next read goes to `end`. */
  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#end;
  }
  /** Where the next read goes: room for one record. */
  get next(): Buffer {
    return this.#records[this.#end / RECORD_BYTES] ?? this.buffer;
  }

  /** A full record has been read: holds it, unless it was the last that has room. */
  keep(): boolean {
    if (this.#end + RECORD_BYTES === this.buffer.length) return false;
    this.#end += RECORD_BYTES;
    return true;
  }

  /** What is held is handed on; the next read goes behind it all the same, since the runtime knows no other place. */
  handedOn(): void {
    this.#start = this.#end;
  }

  /** What is held is handed on, and the next read is told to go to the beginning. */
  restart(): void {
    this.#start = 0;
    this.#end = 0;
  }
}

/** One that nobody uses, for the next who needs one: connections come and go between bulk and single answers. */
let spare: BulkRead | undefined;

/** An empty one; give it back with `freeBulkRead`. */
export function takeBulkRead(): BulkRead {
  const taken = spare ?? new BulkRead();
  spare = undefined;
  return taken;
}

/** Nothing reads into it any more. */
export function freeBulkRead(bulk: BulkRead): void {
  bulk.restart();
  spare = bulk;
}
