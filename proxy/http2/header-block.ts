import { MAX_BLOCK_BYTES } from './hpack-decoder.ts';

/** A header block that goes on in CONTINUATION frames (RFC 9113 section 6.10): until it is whole nothing else may come on the connection. */
export class HeaderBlock {
  #pieces: Buffer[] = [];
  #bytes = 0;
  #streamId = 0;
  #endStream = false;

  /** 0: no block is being collected. */
  get streamId(): number {
    return this.#streamId;
  }
  get endStream(): boolean {
    return this.#endStream;
  }

  begin(streamId: number, endStream: boolean): void {
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#bytes = 0;
  }

  /** Copies a fragment; false: the block is longer than any that we take. */
  add(buffer: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    if (this.#bytes > MAX_BLOCK_BYTES) return false;
    this.#pieces.push(Buffer.from(buffer.subarray(start, end)));
    return true;
  }

  /** The whole block. */
  take(): Buffer {
    const block = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#streamId = 0;
    return block;
  }
}
