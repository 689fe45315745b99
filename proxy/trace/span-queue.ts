import type { Counter } from '../telemetry/registry.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import { BYTES, tagOf, writeVarint } from '../../api/proto/wire-format.ts';

/** Of `ScopeSpans`. */
const SPANS = 2;
/** What a batch may hold: some two thousand spans. One is filled while another is sent, and what comes beyond that is dropped. */
export const BATCH_BYTES = 1024 * 1024;
/** Bytes that are worth sending at once. */
const FULL_ENOUGH = 256 * 1024;
/** ms that a span waits for others, where nobody says otherwise. */
const SEND_AFTER_MS = 2_000;
/** Bytes of the length in front of a span. None is longer than 16 KiB, and all of them beyond 127 bytes. */
const LENGTH_BYTES = 2;

/** Spans on their way out. */
export interface Batch {
  /** The spans, each as a field of `ScopeSpans`. */
  readonly bytes: Buffer;
  readonly length: number;
  readonly spans: number;
}

export interface SpanQueueOptions {
  timers: TimerWheel;
  /** Sends a batch; its bytes are used again when the promise settles. Never rejects. */
  send: (batch: Batch) => Promise<void>;
  /** Spans that found no room. */
  dropped: Counter;
  /** ms that a span waits for others; undefined: two seconds. */
  sendAfterMs?: number | undefined;
}

/** Collects encoded spans: at most two batches of them, whatever the collector does. */
export class SpanQueue {
  readonly #options: SpanQueueOptions;
  readonly #sendAfterMs: number;
  readonly #timer = new Timer(() => this.#flush());
  #filling: Buffer | undefined;
  #spare: Buffer | undefined;
  #length = 0;
  #spans = 0;
  #sending: Promise<void> | undefined;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
    this.#sendAfterMs = options.sendAfterMs ?? SEND_AFTER_MS;
  }

  /**
   * Room for a span of at most `most` bytes; undefined: it is dropped, which is counted. `commit` follows.
   * @returns where its bytes go
   */
  reserve(most: number): { bytes: Buffer; at: number } | undefined {
    if (this.#length + 1 + LENGTH_BYTES + most > BATCH_BYTES) {
      this.#options.dropped.add();
      return undefined;
    }
    const bytes = (this.#filling ??= this.#takeSpare());
    return { bytes, at: this.#length + 1 + LENGTH_BYTES };
  }

  #takeSpare(): Buffer {
    const bytes = this.#spare ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#spare = undefined;
    return bytes;
  }

  /** The span stands in the room that was reserved, and ends there. */
  commit(end: number): void {
    const bytes = this.#filling;
    if (bytes === undefined) return;
    const start = this.#length + 1 + LENGTH_BYTES;
    bytes[this.#length] = tagOf(SPANS, BYTES);
    writeVarint(bytes, this.#length + 1, end - start);
    this.#length = end;
    this.#spans++;
    if (this.#sending !== undefined) return;
    if (end >= FULL_ENOUGH) this.#flush();
    else if (!this.#timer.armed) this.#options.timers.arm(this.#timer, this.#sendAfterMs);
  }

  /** Sends what there is, and resolves when nothing is left, or its time is over. */
  async close(graceMs: number): Promise<void> {
    const { timers } = this.#options;
    const late = Promise.withResolvers<void>();
    const timer = new Timer(late.resolve);
    timers.arm(timer, graceMs);
    await Promise.race([this.#drained(), late.promise]);
    timers.cancel(timer);
    timers.cancel(this.#timer);
  }

  async #drained(): Promise<void> {
    while (this.#sending !== undefined || this.#spans > 0) {
      this.#flush();
      await this.#sending;
    }
  }

  #flush(): void {
    const bytes = this.#filling;
    if (bytes === undefined || this.#spans === 0 || this.#sending !== undefined) return;
    const batch: Batch = { bytes, length: this.#length, spans: this.#spans };
    this.#options.timers.cancel(this.#timer);
    this.#filling = undefined;
    this.#length = 0;
    this.#spans = 0;
    this.#sending = this.#options.send(batch).then(() => this.#sent(bytes));
  }

  #sent(bytes: Buffer): void {
    this.#spare = bytes;
    this.#sending = undefined;
    if (this.#length >= FULL_ENOUGH) this.#flush();
    else if (this.#spans > 0) this.#options.timers.arm(this.#timer, this.#sendAfterMs);
  }
}
