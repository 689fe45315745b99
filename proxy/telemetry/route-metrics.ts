import type { Counter, Family, Labels, Registry } from './registry.ts';

/** What becomes of the retries of one target. */
export interface RetryCells {
  /** Retries that were sent. */
  readonly requests: Counter;
  /** Requests that a retry made good. */
  readonly successes: Counter;
  /** Retries that the budget had nothing left for. */
  readonly overflow: Counter;
  /** Requests that failed after all their retries. */
  readonly limitExceeded: Counter;
}

/** Guards of the outbound side: `outbound_http_route_retry_…` by Linkerd's names, and ejections. */
export class RouteMetrics {
  readonly ejections: Family<Counter>;
  readonly #requests: Family<Counter>;
  readonly #successes: Family<Counter>;
  readonly #overflow: Family<Counter>;
  readonly #limitExceeded: Family<Counter>;

  constructor(registry: Registry) {
    this.ejections = registry.counter(
      'outbound_http_balancer_ejections_total',
      'Endpoints that were taken out for their failures',
    );
    const name = (what: string): string => `outbound_http_route_retry_${what}_total`;
    this.#requests = registry.counter(name('requests'), 'Retries that were sent');
    this.#successes = registry.counter(name('successes'), 'Requests that a retry made good');
    this.#overflow = registry.counter(name('overflow'), 'Retries that the budget had nothing left for');
    this.#limitExceeded = registry.counter(
      name('limit_exceeded'),
      'Requests that failed after all their retries',
    );
  }

  retries(labels: Labels): RetryCells {
    return {
      requests: this.#requests.cell(labels),
      successes: this.#successes.cell(labels),
      overflow: this.#overflow.cell(labels),
      limitExceeded: this.#limitExceeded.cell(labels),
    };
  }
}
