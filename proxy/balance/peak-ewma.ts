/** ms assumed of an endpoint that has not answered yet: Linkerd's. High enough that a new one is not flooded, low enough that it is tried. */
export const DEFAULT_RTT_MS = 30;

/** ms after which a measurement weighs 1/e: Linkerd's. */
export const DECAY_MS = 10_000;

/**
 * Peak EWMA: a moving average of response times that jumps up to a worse one at once and decays slowly towards better ones.
 * The cost of an endpoint is that average times what is in flight there.
 */
export class PeakEwma {
  #average: number;
  #updatedAt: number;
  inFlight = 0;

  /** @param now ms, monotonic */
  constructor(now: number, rttMs = DEFAULT_RTT_MS) {
    this.#average = rttMs;
    this.#updatedAt = now;
  }

  /** @param rttMs time to the response's head */
  observe(now: number, rttMs: number): void {
    if (rttMs >= this.#average) this.#average = rttMs;
    else {
      const weight = Math.exp(-Math.max(0, now - this.#updatedAt) / DECAY_MS);
      this.#average = this.#average * weight + rttMs * (1 - weight);
    }
    this.#updatedAt = now;
  }

  /** Lower is better. An endpoint from which nothing is heard decays towards 0, so that it is tried again. */
  cost(now: number): number {
    const idle = now - this.#updatedAt;
    const average =
      idle > 0 && this.inFlight === 0 ? this.#average * Math.exp(-idle / DECAY_MS) : this.#average;
    return (average + MIN_COST_MS) * (this.inFlight + 1);
  }
}

/** ms added to each average, so that what is in flight counts also among endpoints that answer at once. */
const MIN_COST_MS = 0.01;
