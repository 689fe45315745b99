import { Timer } from './timers.ts';
import type { TimerWheel } from './timers.ts';

/** Later than any tick: years. */
const NEVER = 2 ** 31 - 1;

/**
 * One deadline at a time, moved often and rarely met: moving it later costs an assignment, since the timer that is
 * armed finds out when it fires. Times count from the wheel's last tick.
 */
export class Deadline {
  readonly #timers: TimerWheel;
  readonly #timer: Timer;
  readonly #expired: () => void;
  /** Ticks of the wheel. */
  #at = NEVER;
  #armedFor = NEVER;

  constructor(timers: TimerWheel, expired: () => void) {
    this.#timers = timers;
    this.#expired = expired;
    this.#timer = new Timer(() => this.#due());
  }

  /** Moves the deadline to `ms` from now. */
  set(ms: number): void {
    const timers = this.#timers;
    this.#at = timers.ticks + timers.ticksOf(ms);
    if (this.#at < this.#armedFor) this.#arm(ms);
  }

  /** No deadline until `set`. */
  clear(): void {
    this.#at = NEVER;
  }

  /** As `clear`, for good: gives the timer back. */
  stop(): void {
    this.clear();
    this.#timers.cancel(this.#timer);
    this.#armedFor = NEVER;
  }

  #arm(ms: number): void {
    this.#armedFor = this.#at;
    this.#timers.arm(this.#timer, ms);
  }

  #due(): void {
    this.#armedFor = NEVER;
    if (this.#at === NEVER) return;
    const left = this.#at - this.#timers.ticks;
    if (left > 0) {
      this.#arm(this.#timers.msOf(left));
      return;
    }
    this.clear();
    this.#expired();
  }
}
