import type { Transport, TransportHandler, TransportWatcher } from '../transport/transport.ts';

const NO_HANDLER: TransportHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** A transport without a socket: keeps what is written. For codecs whose bytes matter and whose timing does not. */
export class FakeTransport implements Transport {
  readonly encrypted = false;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  watcher: TransportWatcher | undefined = undefined;
  handler: TransportHandler = NO_HANDLER;
  eager = true;
  readonly errorCode = '';
  /** What `pendingBytes` tells. */
  pendingBytes = 0;
  takenBytes = 0;
  /** What `write` answers. */
  room = true;
  paused = false;
  ended = false;
  destroyed = false;
  wasReset = false;
  #written: Buffer[] = [];
  #reserved: Buffer = Buffer.alloc(0);

  /** All that was written since the last call of `take`. */
  bytes(): Buffer {
    return Buffer.concat(this.#written);
  }
  text(): string {
    return this.bytes().toString('latin1');
  }
  take(): Buffer {
    const all = this.bytes();
    this.#written = [];
    return all;
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (!this.ended && !this.destroyed) this.#written.push(Buffer.from(buffer.subarray(start, end)));
    return this.room;
  }
  reserve(n: number): { buffer: Buffer; offset: number } {
    // As of a real one: what was reserved and not committed is still the same room.
    if (n > this.#reserved.length) this.#reserved = Buffer.alloc(n);
    return { buffer: this.#reserved, offset: 0 };
  }
  commit(length: number): boolean {
    const reserved = this.#reserved;
    this.#reserved = Buffer.alloc(0);
    return this.write(reserved, 0, length);
  }
  flush(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
  reset(): void {
    this.destroyed = true;
    this.wasReset = true;
  }
}
