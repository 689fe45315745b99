import { Timer } from '../transport/timers.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** How often within the deadline the streams are looked at: a stalled one goes at most a quarter of it late. */
const LOOKS = 4;

/** Finds streams whose waiting bytes do not move; the others don't notice. One timer a connection, armed while it has streams. */
export class StallWatch {
  readonly #table: StreamTable;
  readonly #timers: TimerWheel;
  readonly #stallMs: number;
  readonly #onStalled: (stream: Stream) => void;
  readonly #timer = new Timer(() => this.#look());

  /** `stallMs`: how long waiting bytes may not move. `onStalled` must end the stream. */
  constructor(table: StreamTable, timers: TimerWheel, stallMs: number, onStalled: (stream: Stream) => void) {
    this.#table = table;
    this.#timers = timers;
    this.#stallMs = stallMs;
    this.#onStalled = onStalled;
  }

  /** A stream was opened. */
  watch(): void {
    if (!this.#timer.armed) this.#timers.arm(this.#timer, this.#stallMs / LOOKS);
  }

  stop(): void {
    this.#timers.cancel(this.#timer);
  }

  /** Too many bytes wait in all: the stream that has been stuck longest makes room. */
  shedOldest(): void {
    let oldest: Stream | undefined;
    for (const stream of this.#table.values()) {
      if (stream.unconsumed > 0 && (oldest === undefined || stream.progressAt < oldest.progressAt))
        oldest = stream;
    }
    if (oldest !== undefined) this.#onStalled(oldest);
  }

  #look(): void {
    const oldest = this.#timers.ticks - this.#timers.ticksOf(this.#stallMs);
    for (const stream of this.#table.values()) {
      if (stream.progressAt <= oldest && stream.waiting) this.#onStalled(stream);
    }
    if (this.#table.size > 0) this.watch();
  }
}
