import type { PenaltyConfig } from './penalty.ts';

/** ms assumed of an endpoint that has not answered yet: Linkerd's. High enough that a new one is not flooded, low enough that it is tried. */
export const DEFAULT_RTT_MS = 30;

/** ms after which a measurement weighs 1/e: Linkerd's. */
export const DECAY_MS = 10_000;

/**
 * Peak EWMA: a moving average of response times that jumps up to a worse one at once and decays slowly towards better ones.
 * The cost of an endpoint is that average, with a penalty while it fails, times what is in flight there.
 */
export class PeakEwma {
  #average: number;
  #updatedAt: number;
  /** ms, whole until `#penaltyFrom`, decaying from then on. */
  #penalty = 0;
  #penaltyFrom = 0;
  #penaltyDecayMs = 1;
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

  /** It failed, or asked for less. @param retryAfterMs how long it asks to be left alone; 0: it does not */
  penalise(now: number, { penaltyMs, decayMs, maxRetryAfterMs }: PenaltyConfig, retryAfterMs: number): void {
    this.#penalty = penaltyMs;
    this.#penaltyFrom = Math.max(this.#penaltyFrom, now + Math.min(retryAfterMs, maxRetryAfterMs));
    this.#penaltyDecayMs = decayMs;
  }

  /** Lower is better. An endpoint from which nothing is heard decays towards 0, so that it is tried again. */
  cost(now: number): number {
    const idle = now - this.#updatedAt;
    const average =
      idle > 0 && this.inFlight === 0 ? this.#average * Math.exp(-idle / DECAY_MS) : this.#average;
    return (average + MIN_COST_MS + this.#penaltyAt(now)) * (this.inFlight + 1);
  }

  #penaltyAt(now: number): number {
    if (this.#penalty === 0 || now <= this.#penaltyFrom) return this.#penalty;
    const left = this.#penalty * Math.exp(-(now - this.#penaltyFrom) / this.#penaltyDecayMs);
    if (left < MIN_COST_MS) this.#penalty = 0;
    return left;
  }
}

/** ms added to each average, so that what is in flight counts also among endpoints that answer at once. */
const MIN_COST_MS = 0.01;
