import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { TransportHeaderReader, type TransportHeader } from '../detect/transport-header.ts';

/** What becomes of a connection that opens with a header. */
export interface TransportHeaderResult {
  /** Complete. Gives the transport another handler at once. `rest`: a copy of the bytes behind it. */
  header(header: TransportHeader, rest: Buffer): void;
  refused(reason: string): void;
}

/** What `TransportHeaderReader.push` answers while it needs more bytes. */
const MORE = -1;

/** Reads the header that opens a connection of ALPN `transport.l5d.io/v1`. Closes a connection that does not send one in time. */
export class TransportHeaderHandler implements TransportHandler {
  readonly #transport: Transport;
  readonly #timers: TimerWheel;
  readonly #result: TransportHeaderResult;
  readonly #reader = new TransportHeaderReader();
  readonly #timer = new Timer(() => this.#refuse('header-timeout'));
  #over = false;

  constructor(transport: Transport, timers: TimerWheel, timeoutMs: number, result: TransportHeaderResult) {
    this.#transport = transport;
    this.#timers = timers;
    this.#result = result;
    timers.arm(this.#timer, timeoutMs);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#over) return;
    const used = this.#reader.push(buffer, start, end);
    if (used === MORE) return;
    const { header } = this.#reader;
    if (header === undefined) return this.#refuse('bad-header');
    this.#finish();
    this.#result.header(header, Buffer.from(buffer.subarray(start + used, end)));
  }

  onDrain(): void {}

  onEnd(): void {
    this.#refuse('no-header');
  }

  onClose(): void {
    this.#finish();
  }

  #refuse(reason: string): void {
    if (this.#over) return;
    this.#finish();
    this.#result.refused(reason);
    this.#transport.destroy();
  }

  #finish(): void {
    this.#over = true;
    this.#timers.cancel(this.#timer);
  }
}
