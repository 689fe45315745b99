import type { Clock } from './clock.ts';

/** Aborts its signal when nothing has touched it for `limitMs`. */
export class Watchdog {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #limitMs: number;
  #touched: number;
  #timer;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#touched = clock.now();
    this.#timer = clock.after(limitMs, () => this.#check());
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something was heard. */
  touch(): void {
    this.#touched = this.#clock.now();
  }

  stop(): void {
    this.#timer.cancel();
  }

  /** One timer that looks again, rather than a new one for each event. */
  #check(): void {
    const left = this.#touched + this.#limitMs - this.#clock.now();
    if (left <= 0) this.#controller.abort(new Error(`nothing was heard for ${this.#limitMs} ms`));
    else this.#timer = this.#clock.after(left, () => this.#check());
  }
}
