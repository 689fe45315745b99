import { SlidingWindow } from '../sliding-window.ts';

/** How many retries a route may cause. */
export interface BudgetConfig {
  /** Retries that each request pays for. */
  readonly ratio: number;
  /** Retries a second that are free, so that a target with little traffic has some. */
  readonly minPerSecond: number;
  /** ms that a request counts. */
  readonly ttlMs: number;
}

/** Linkerd's (Finagle's) where no ServiceProfile says otherwise. */
export const DEFAULT_BUDGET: BudgetConfig = { ratio: 0.2, minPerSecond: 10, ttlMs: 10_000 };

/**
 * Bounds retries by what is asked: in any `ttlMs` at most `ratio` × requests + `minPerSecond` × ttl of them. So a
 * target whose requests all fail gets a fifth more of them, whatever each request would be allowed by itself.
 */
export class RetryBudget {
  readonly config: BudgetConfig;
  /** Requests, and retries. */
  readonly #window: SlidingWindow;
  readonly #reserve: number;

  /** @param before whose place it takes: what was asked and retried there counts on */
  constructor(config: BudgetConfig = DEFAULT_BUDGET, before?: RetryBudget) {
    this.config = config;
    this.#window = before?.config.ttlMs === config.ttlMs ? before.#window : new SlidingWindow(config.ttlMs);
    this.#reserve = (config.minPerSecond * config.ttlMs) / 1_000;
  }

  /** A request came. @param now ms, monotonic */
  deposit(now: number): void {
    this.#window.add(now, 1, 0);
  }

  /** Takes one retry; false: there is none left. */
  withdraw(now: number): boolean {
    const allowed = this.#reserve + this.#window.first(now) * this.config.ratio;
    if (this.#window.second(now) + 1 > allowed) return false;
    this.#window.add(now, 0, 1);
    return true;
  }
}

/**
 * The budgets of a target's routes, by a key of each. A policy that is told anew makes new rules; were their budgets
 * new as well, a policy that is told each second would lift the bound.
 */
export class Budgets {
  readonly #byKey = new Map<string, RetryBudget>();

  /** @param before what held until now */
  of(key: string, before: Budgets | undefined, config: BudgetConfig = DEFAULT_BUDGET): RetryBudget {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const budget = new RetryBudget(config, before === undefined ? undefined : before.#byKey.get(key));
    this.#byKey.set(key, budget);
    return budget;
  }
}
