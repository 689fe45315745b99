import { systemClock } from './clock.ts';
import type { Clock, Timer } from './clock.ts';

/** Settings of a work queue; all have defaults. */
export interface WorkQueueOptions {
  /** Delay of a key's first retry, in milliseconds; doubles with each further one. Default 5. */
  baseDelayMs?: number;
  /** Longest delay of a retry, in milliseconds. Default 1,000,000. */
  maxDelayMs?: number;
  clock?: Clock;
}

/**
 * controller-runtime's work queue: a key waits at most once, and is never handed out twice at a time. One that is added while it is being
 * worked on waits until `done` and is then handed out again.
 */
export class WorkQueue {
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #clock: Clock;
  /** In order of arrival. */
  readonly #waiting = new Set<string>();
  readonly #processing = new Set<string>();
  /** Added while being processed. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, { due: number; timer: Timer }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
    this.#clock = options.clock ?? systemClock;
  }

  /** Keys that wait, without those that are delayed or being worked on. */
  get length(): number {
    return this.#waiting.size;
  }

  /** A key that is being worked on is handed out again when that is done. */
  add(key: string): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      this.#dirty.add(key);
      return;
    }
    const taker = this.#takers.shift();
    if (taker === undefined) this.#waiting.add(key);
    else {
      this.#processing.add(key);
      taker(key);
    }
  }

  /** Adds the key after `ms`; the earliest of several such wishes counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    const due = this.#clock.now() + ms;
    const old = this.#delayed.get(key);
    if (old !== undefined && old.due <= due) return;
    old?.timer.cancel();
    const timer = this.#clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { due, timer });
  }

  /** Adds the key after its own back-off, which grows until `forget`. Returns the delay in milliseconds. */
  addRateLimited(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const ms = Math.min(this.#maxDelayMs, this.#baseDelayMs * 2 ** Math.min(failures, 40));
    this.addAfter(key, ms);
    return ms;
  }

  /** The key's next back-off starts from the smallest delay. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Tries that failed since the last `forget`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined after `shutdown`. Call `done` when it has been worked on. */
  get(): Promise<string | undefined> {
    const [key] = this.#waiting;
    if (key !== undefined) {
      this.#waiting.delete(key);
      this.#processing.add(key);
      return Promise.resolve(key);
    }
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The work on a key that was handed out has ended. */
  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
  }

  /** Takes nothing more and drops what waits. */
  shutdown(): void {
    this.#closed = true;
    for (const { timer } of this.#delayed.values()) timer.cancel();
    this.#delayed.clear();
    this.#waiting.clear();
    this.#dirty.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }
}
