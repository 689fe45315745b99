import type { Clock } from './clock.ts';

/**
 * ms of one turn of the event loop that messages may take. A control plane that has restarted tells thousands of
 * endpoints at once, and to take them all in one turn would hold every request up: what is more waits for the next
 * turns, and between these requests have theirs.
 */
export const TURN_MS = 5;

/** What has come in on the calls of a channel is taken in its order: at once, unless this turn has had its share. */
export class Inbox {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  /** `open`: nothing has come since the last turn. `taking`: in the middle of it. */
  #turn: 'open' | 'begun' | 'taking' = 'open';
  /** ms that this turn has given. */
  #spent = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param take does what is to be done about it; must not throw */
  put(take: () => void): void {
    this.#waiting.push(take);
    if (this.#turn === 'open') this.#begin();
    if (this.#turn === 'begun') this.#takeSome();
  }

  #begin(): void {
    this.#turn = 'begun';
    this.#spent = 0;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#turn = 'open';
    if (this.#waiting.length === 0) return;
    this.#begin();
    this.#takeSome();
  }

  #takeSome(): void {
    this.#turn = 'taking';
    while (this.#spent < TURN_MS) {
      const take = this.#waiting.shift();
      if (take === undefined) break;
      const began = this.#clock.monotonic();
      take();
      this.#spent += this.#clock.monotonic() - began;
    }
    this.#turn = 'begun';
  }
}
