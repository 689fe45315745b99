import type { Head } from '../message/head.ts';
import { routeOf } from '../route/limits-layer.ts';
import { backOffMs, retriesGrpc, retriesStatus, type RetryPolicy } from '../route/retry-policy.ts';
import type { RetryCells } from '../telemetry/route-metrics.ts';
import type { Attempt } from '../upstream/attempt.ts';
import { NO_RETRY } from '../upstream/dispatch-hooks.ts';

export interface RetriesOptions {
  /** Asked for when there is a retry, as most targets have none. */
  readonly cells: () => RetryCells;
  /** ms, monotonic. */
  readonly now: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** What the routes of a target's requests say of sending them again. Each retry is taken from the route's budget. */
export class Retries {
  readonly #options: RetriesOptions;

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** See `DispatchHooks.retryDelay`. */
  delayAfterAnswer(attempt: Attempt, status: number, grpcStatus: string | undefined): number {
    const retry = policyOf(attempt);
    if (retry === undefined) return NO_RETRY;
    const wanted =
      retriesStatus(retry, status) ||
      (grpcStatus !== undefined && retriesGrpc(retry, grpcStatus) && attempt.grpc);
    return wanted ? this.#take(attempt, retry) : NO_RETRY;
  }

  /** See `DispatchHooks.retryAfterLimit`. */
  delayAfterLimit(attempt: Attempt): number {
    const retry = policyOf(attempt);
    return retry === undefined ? NO_RETRY : this.#take(attempt, retry);
  }

  /** A request that was sent again has been answered well. */
  succeeded(): void {
    this.#options.cells().successes.add();
  }

  #take(attempt: Attempt, retry: RetryPolicy): number {
    const { cells, now, random } = this.#options;
    const counts = cells();
    if (attempt.retries >= retry.limit) {
      counts.limitExceeded.add();
      return NO_RETRY;
    }
    if (attempt.keptBytes > retry.maxBytes) return NO_RETRY;
    const delay = backOffMs(retry.backOff, attempt.retries + 1, random);
    const { x } = attempt;
    // It would come too late.
    if (x.deadline !== 0 && now() + delay >= x.deadline) return NO_RETRY;
    if (routeOf(x)?.budget.withdraw(now()) !== true) {
      counts.overflow.add();
      return NO_RETRY;
    }
    counts.requests.add();
    return delay;
  }
}

/** See `DispatchHooks.tryLimit`. */
export function tryLimitOf(attempt: Attempt): number {
  const retry = policyOf(attempt);
  return retry !== undefined && attempt.retries < retry.limit ? retry.attemptMs : 0;
}

/** See `DispatchHooks.waitsForTrailers`. */
export function trailersMayRetry(attempt: Attempt, head: Head): boolean {
  const retry = policyOf(attempt);
  return retry !== undefined && retry.grpcCodes !== 0 && head.status === 200 && attempt.grpc;
}

function policyOf({ x }: Attempt): RetryPolicy | undefined {
  return routeOf(x)?.retry;
}
