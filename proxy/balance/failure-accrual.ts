import { SlidingWindow } from '../sliding-window.ts';
import type { BackOffConfig } from '../route/retry-policy.ts';

/** When an endpoint is taken out of the balancer (circuit breaking), and for how long. */
export interface AccrualConfig {
  /** Failures in a row. */
  readonly maxFailures: number;
  /** Undefined: only failures in a row count. */
  readonly successRate:
    | { readonly threshold: number; readonly windowMs: number; readonly minRequests: number }
    | undefined;
  /** ms that it is out, doubling with each probe that fails. */
  readonly backOff: BackOffConfig;
  /** A server that says how long it wants to be left alone is left alone that long. */
  readonly honoursRetryAfter: boolean;
  /** Ready endpoints that are kept in any case. */
  readonly minReady: number;
}

/**
 * How an answer counts. `limited`: the server is there and asks for less (429, RESOURCE_EXHAUSTED): a failure for the success rate, none in a row.
 */
export type Outcome = 'success' | 'failure' | 'limited';

/** Counts the answers of one endpoint, and tells when it is enough. */
export class FailureAccrual {
  readonly #config: AccrualConfig;
  #inARow = 0;
  /** Answers, and successes. */
  readonly #window: SlidingWindow | undefined;

  constructor(config: AccrualConfig) {
    this.#config = config;
    if (config.successRate !== undefined) this.#window = new SlidingWindow(config.successRate.windowMs);
  }

  /** True: the endpoint is to be taken out. @param now ms, monotonic */
  record(outcome: Outcome, now: number): boolean {
    if (outcome === 'success') this.#inARow = 0;
    else if (outcome === 'failure') this.#inARow++;
    this.#window?.add(now, 1, outcome === 'success' ? 1 : 0);
    return this.#inARow >= this.#config.maxFailures || this.#rateIsLow(now);
  }

  /** What was counted is void: the endpoint has been out. */
  reset(): void {
    this.#inARow = 0;
    this.#window?.clear();
  }

  #rateIsLow(now: number): boolean {
    const { successRate } = this.#config;
    if (successRate === undefined || this.#window === undefined) return false;
    const answers = this.#window.first(now);
    return answers >= successRate.minRequests && this.#window.second(now) < answers * successRate.threshold;
  }
}
