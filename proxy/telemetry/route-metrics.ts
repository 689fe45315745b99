import type { Outcome } from './http-metrics.ts';
import type { Counter, Family, Gauge, Histogram, Labels, Registry } from './registry.ts';

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

/** Seconds, as Linkerd's proxy has them: routes are asked whether they are slow, `response_latency_ms` how slow. */
const DURATION_BUCKETS: readonly number[] = [0.05, 0.5, 1, 10];
const MS_PER_SECOND = 1_000;

/** What became of the requests of one route of one target, whatever tries they took. */
export class RouteCells {
  readonly #statuses: Family<Counter>;
  readonly #labels: Labels;
  readonly #duration: Histogram;
  readonly #byStatus = new Map<number, Counter>();

  constructor(statuses: Family<Counter>, durations: Family<Histogram>, labels: Labels) {
    this.#statuses = statuses;
    this.#labels = labels;
    this.#duration = durations.cell(labels);
  }

  response({ status, error, latencyMs }: Outcome): void {
    this.#duration.observe(latencyMs / MS_PER_SECOND);
    if (error === '') this.#answered(status).add();
    // As Linkerd has it: what ended by an error has no status.
    else this.#statuses.cell({ ...this.#labels, error }).add();
  }

  #answered(status: number): Counter {
    let counter = this.#byStatus.get(status);
    if (counter === undefined) {
      counter = this.#statuses.cell({ ...this.#labels, http_status: String(status) });
      this.#byStatus.set(status, counter);
    }
    return counter;
  }
}

/** Routes of the outbound side, by Linkerd's names (`outbound_http_route_…`), and ejections. */
export class RouteMetrics {
  readonly ejections: Family<Counter>;
  /** Requests that had to wait for an endpoint, and how many do now. */
  readonly queueRequests: Family<Counter>;
  readonly queueLength: Family<Gauge>;
  readonly #statuses: Family<Counter>;
  readonly #durations: Family<Histogram>;
  readonly #requests: Family<Counter>;
  readonly #successes: Family<Counter>;
  readonly #overflow: Family<Counter>;
  readonly #limitExceeded: Family<Counter>;

  constructor(registry: Registry) {
    this.ejections = registry.counter(
      'outbound_http_balancer_ejections_total',
      'Endpoints that were taken out for their failures',
    );
    this.queueRequests = registry.counter(
      'outbound_http_balancer_queue_requests_total',
      'Requests that had to wait for an endpoint',
    );
    this.queueLength = registry.gauge(
      'outbound_http_balancer_queue_length',
      'Requests that wait for an endpoint now',
    );
    this.#statuses = registry.counter(
      'outbound_http_route_request_statuses_total',
      'Requests of a route, by the status of their response or by what ended them',
    );
    this.#durations = registry.histogram(
      'outbound_http_route_request_duration_seconds',
      "Seconds from a request's head to its response's end, over all of its tries",
      DURATION_BUCKETS,
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

  /** @param labels `parent_…` and `route_…` */
  route(labels: Labels): RouteCells {
    return new RouteCells(this.#statuses, this.#durations, labels);
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
