import { Timer } from './timers.ts';
import type { TimerWheel } from './timers.ts';

/**
 * One deadline at a time, moved often and rarely met: moving it later costs an assignment, since the timer that is armed finds out when it fires. Times count from
 * the wheel's last tick.
 */
export class Deadline {
  readonly #timers: TimerWheel;
  readonly #timer: Timer;
  readonly #expired: () => void;
  /** ms of the wheel's clock. */
  #at = Number.POSITIVE_INFINITY;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(timers: TimerWheel, expired: () => void) {
    this.#timers = timers;
    this.#expired = expired;
    this.#timer = new Timer(() => this.#due());
  }

  /** Moves the deadline to `ms` from now. */
  set(ms: number): void {
    this.#at = this.#timers.lastTick + ms;
    if (this.#at < this.#armedFor) this.#arm(ms);
  }

  /** No deadline until `set`. */
  clear(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  /** As `clear`, for good: gives the timer back. */
  stop(): void {
    this.clear();
    this.#timers.cancel(this.#timer);
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #arm(ms: number): void {
    this.#armedFor = this.#at;
    this.#timers.arm(this.#timer, ms);
  }

  #due(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    if (this.#at === Number.POSITIVE_INFINITY) return;
    const left = this.#at - this.#timers.lastTick;
    if (left > 0) {
      this.#arm(left);
      return;
    }
    this.clear();
    this.#expired();
  }
}
