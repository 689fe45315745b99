import type { Clock } from '../clock.ts';

/** The time that a pod or container has to end. Can be shortened, never lengthened: a second, harder delete counts. */
export class GracePeriod {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  #deadline: number;
  #cancel: () => void;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#deadline = clock.now() + ms;
    this.#cancel = clock.after(ms, () => {
      this.#abort.abort();
    });
  }

  get remainingMs(): number {
    return Math.max(0, this.#deadline - this.#clock.now());
  }

  /** It ends in `ms` at the latest. */
  shorten(ms: number): void {
    if (ms >= this.remainingMs) return;
    this.#cancel();
    this.#deadline = this.#clock.now() + ms;
    this.#cancel = this.#clock.after(ms, () => {
      this.#abort.abort();
    });
  }

  /** Resolves when `work` settles or the period ends, whichever is first; says whether it was the work. */
  async unlessOver(work: Promise<unknown>): Promise<boolean> {
    if (this.#abort.signal.aborted) return false;
    let over: (() => void) | undefined;
    const ended = new Promise<false>((resolve) => {
      over = () => {
        resolve(false);
      };
      this.#abort.signal.addEventListener('abort', over);
    });
    try {
      return await Promise.race([work.then(() => true as const), ended]);
    } finally {
      if (over !== undefined) this.#abort.signal.removeEventListener('abort', over);
    }
  }

  /** Nobody waits for its end any more. */
  dispose(): void {
    this.#cancel();
  }
}
