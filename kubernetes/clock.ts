import { setTimeout as systemSetTimeout, clearTimeout as systemClearTimeout } from 'node:timers';

/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

/** Time as the client layer sees it, so that tests can hold it in their hands. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start: for durations, back-off and leases. */
  now(): number;
  /** Milliseconds since the epoch: for timestamps that people read. */
  wallNow(): number;
  /** Calls `callback` once after `ms`. Never keeps the process alive. */
  after(ms: number, callback: () => void): Timer;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(ms, callback) {
    const handle = systemSetTimeout(callback, ms);
    handle.unref();
    return { cancel: () => systemClearTimeout(handle) };
  },
};

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Bounds of an exponential back-off, in milliseconds. */
export interface BackoffBounds {
  initialMs: number;
  maxMs: number;
}

/**
 * Delay before try number `attempt` (from 1): doubles from `initialMs` up to `maxMs`, then a random share of it between a half and
 * the whole, so that clients which broke together do not come back together.
 */
export function backoffMs(attempt: number, bounds: BackoffBounds, random: () => number): number {
  const full = Math.min(bounds.maxMs, bounds.initialMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + random() / 2);
}
