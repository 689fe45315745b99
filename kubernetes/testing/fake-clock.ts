import type { Clock, Timer } from '../clock.ts';

interface Due {
  at: number;
  callback: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now = 0;
  #wall: number;
  readonly #timers = new Set<Due>();

  constructor(wall = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wall = wall;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#wall;
  }

  after(ms: number, callback: () => void): Timer {
    const due = { at: this.#now + ms, callback };
    this.#timers.add(due);
    return { cancel: () => void this.#timers.delete(due) };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on, calling what falls due in its order, and lets what that started run as far as it gets without time. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const next = [...this.#timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#move(next.at);
      this.#timers.delete(next);
      next.callback();
    }
    this.#move(end);
    await settle();
  }

  #move(to: number): void {
    this.#wall += to - this.#now;
    this.#now = to;
  }
}

/** One turn of the event loop: every promise that needs no input has gone on by then. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
