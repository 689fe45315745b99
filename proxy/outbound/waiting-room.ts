import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Attempt } from '../upstream/attempt.ts';

/**
 * `open`: nobody waits for long. `waiting`: some wait, and the fail-fast timer runs. `failing`: no endpoint came in
 * time, requests fail at once until one does. Whether one is there again the balancer finds out by itself.
 */
type Gate = 'open' | 'waiting' | 'failing';

export interface WaitingRoomOptions {
  readonly timers: TimerWheel;
  /** So many wait now. */
  readonly onLength: (length: number) => void;
  /** The fail-fast time is over, and the room is `failing`: all that wait are given up. */
  readonly onGivenUp: () => void;
}

/** Requests of a target that wait for an endpoint, in the order in which they came. */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #attempts = new Set<Attempt>();
  readonly #failFast = new Timer(() => this.#giveUp());
  #gate: Gate = 'open';

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** Nobody is to wait: there has been no endpoint for the fail-fast time. */
  get failing(): boolean {
    return this.#gate === 'failing';
  }

  get size(): number {
    return this.#attempts.size;
  }

  [Symbol.iterator](): Iterator<Attempt> {
    return this.#attempts.values();
  }

  /** One more waits. @param failFastMs ms from the first of them on until all are given up */
  enter(attempt: Attempt, failFastMs: number): void {
    this.#attempts.add(attempt);
    this.#options.onLength(this.#attempts.size);
    if (this.#gate === 'waiting') return;
    this.#gate = 'waiting';
    this.#options.timers.arm(this.#failFast, failFastMs);
  }

  /** It waits no more, if it did. */
  leave(attempt: Attempt): void {
    if (this.#attempts.delete(attempt)) this.#options.onLength(this.#attempts.size);
  }

  /** There are endpoints. */
  open(): void {
    this.#options.timers.cancel(this.#failFast);
    this.#gate = 'open';
  }

  /** Nobody asks any more: who asks next may wait again. */
  rest(): void {
    if (this.#gate === 'failing') this.#gate = 'open';
  }

  /** Everyone who waited; nobody does any more. */
  empty(): readonly Attempt[] {
    if (this.#attempts.size === 0) return [];
    const all = [...this.#attempts];
    this.#attempts.clear();
    this.#options.onLength(0);
    return all;
  }

  close(): void {
    this.#options.timers.cancel(this.#failFast);
  }

  #giveUp(): void {
    this.#gate = 'failing';
    this.#options.onGivenUp();
  }
}
