/** A timer that can be cancelled. */
export interface Timer {
  cancel(): void;
}

/** Time and timers, passed in so that tests can move time. */
export interface Clock {
  /** Wall time, ms since the epoch. May jump. */
  now(): number;
  /** ms from an arbitrary start: for durations, since it never jumps. */
  monotonic(): number;
  /** Runs `callback` once after `ms`. A timer never keeps the process alive. */
  after(ms: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    const handle = setTimeout(callback, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Delays between attempts: exponential with full jitter above half, so that a fleet does not return in step. */
export interface BackOff {
  /** ms until the next attempt; grows with each call. */
  next(): number;
  reset(): void;
}

/**
 * @param random a number in [0, 1)
 * @param growth of each delay to the next: the less, the sooner is found what comes back, for more attempts until then
 */
export function createBackOff(
  minMs: number,
  maxMs: number,
  random: () => number = Math.random,
  growth = 2,
): BackOff {
  let ceiling = minMs;
  return {
    next() {
      const delay = ceiling / 2 + (random() * ceiling) / 2;
      ceiling = Math.min(ceiling * growth, maxMs);
      return delay;
    },
    reset() {
      ceiling = minMs;
    },
  };
}
