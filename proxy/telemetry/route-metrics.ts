import { NO_GRPC_STATUS } from './classify.ts';
import { GRPC_VALUES, HttpCells, type Outcome, type RequestFamilies } from './http-metrics.ts';
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

/** Seconds, as Linkerd's proxy has them. Few: they tell whether a route is slow, and `response_latency_ms` how slow. */
const DURATION_BUCKETS: readonly number[] = [0.05, 0.5, 1, 10];
const MS_PER_SECOND = 1_000;

/** Count what became of the requests of one route, whatever tries they took. */
export interface RouteCells {
  response(outcome: Outcome): void;
}

/** The names that requests of routes count under, and how they tell a status. */
interface RouteFamilies {
  readonly statuses: Family<Counter>;
  readonly durations: Family<Histogram>;
  readonly statusLabel: string;
  readonly statusOf: (outcome: Outcome) => string;
}

const httpStatus = ({ status }: Outcome): string => String(status);
/** A call whose response does not say how it ended counts as UNKNOWN (2). */
const grpcStatus = ({ grpcStatus: code }: Outcome): string => String(code === NO_GRPC_STATUS ? 2 : code);
const grpcStatusName = ({ grpcStatus: code }: Outcome): string => GRPC_NAMES[code] ?? 'UNKNOWN';

/** gRPC's names of its statuses, as Linkerd's proxy writes them. */
const GRPC_NAMES: readonly string[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

class StatusCells implements RouteCells {
  readonly #families: RouteFamilies;
  readonly #labels: Labels;
  readonly #duration: Histogram;
  /** By both statuses in one number: the text of a label is made once. */
  readonly #byStatus = new Map<number, Counter>();

  constructor(families: RouteFamilies, labels: Labels) {
    this.#families = families;
    this.#labels = labels;
    this.#duration = families.durations.cell(labels);
  }

  response(outcome: Outcome): void {
    this.#duration.observe(outcome.latencyMs / MS_PER_SECOND);
    const { error } = outcome;
    if (error === '') this.#answered(outcome).add();
    // As Linkerd has it: what ended by an error has no status.
    else this.#families.statuses.cell({ ...this.#labels, error }).add();
  }

  #answered(outcome: Outcome): Counter {
    const key = outcome.status * GRPC_VALUES + outcome.grpcStatus + 1;
    let counter = this.#byStatus.get(key);
    if (counter === undefined) {
      const { statuses, statusLabel, statusOf } = this.#families;
      counter = statuses.cell({ ...this.#labels, [statusLabel]: statusOf(outcome) });
      this.#byStatus.set(key, counter);
    }
    return counter;
  }
}

/** Of a route of a ServiceProfile: by the older names, too. */
class ProfileCells implements RouteCells {
  readonly #route: RouteCells;
  readonly #profile: HttpCells;

  constructor(route: RouteCells, profile: HttpCells) {
    this.#route = route;
    this.#profile = profile;
  }

  response(outcome: Outcome): void {
    this.#route.response(outcome);
    this.#profile.request();
    this.#profile.response(outcome);
  }
}

/** Routes of Servers, by Linkerd's names: `inbound_http_…`, and `inbound_grpc_…` for GRPCRoutes. */
export class InboundRouteMetrics {
  readonly #http: RouteFamilies;
  readonly #grpc: RouteFamilies;

  constructor(registry: Registry) {
    const families = (kind: string, statusOf: RouteFamilies['statusOf']): RouteFamilies => ({
      statuses: registry.counter(
        `inbound_${kind}_statuses_total`,
        "Requests of a Server's route, by the status of their response or by what ended them",
      ),
      durations: registry.histogram(
        `inbound_${kind}_request_duration_seconds`,
        "Seconds from a request's head to its response's end",
        DURATION_BUCKETS,
      ),
      statusLabel: 'status',
      statusOf,
    });
    this.#http = families('http', httpStatus);
    this.#grpc = families('grpc', grpcStatus);
  }

  /** @param labels `parent_…` and `route_…` */
  route(labels: Labels): RouteCells {
    return new StatusCells(labels['route_kind'] === GRPC_ROUTE ? this.#grpc : this.#http, labels);
  }
}

const GRPC_ROUTE = 'GRPCRoute';

/** Routes of the outbound side, by Linkerd's names (`outbound_http_route_…`, `outbound_grpc_route_…`, `route_…`), and ejections. */
export class RouteMetrics {
  readonly ejections: Family<Counter>;
  /** Requests that had to wait for an endpoint, and how many do now. */
  readonly queueRequests: Family<Counter>;
  readonly queueLength: Family<Gauge>;
  readonly #http: RouteFamilies;
  readonly #grpc: RouteFamilies;
  readonly #profiles: RequestFamilies;
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
    this.#http = outboundFamilies(registry, 'http', { statusLabel: 'http_status', statusOf: httpStatus });
    this.#grpc = outboundFamilies(registry, 'grpc', { statusLabel: 'grpc_status', statusOf: grpcStatusName });
    this.#profiles = {
      requests: registry.counter('route_request_total', "Requests of a ServiceProfile's route"),
      responses: registry.counter('route_response_total', 'Their responses'),
      latency: registry.histogram('route_response_latency_ms', "Milliseconds to their responses' end"),
    };
    const name = (what: string): string => `outbound_http_route_retry_${what}_total`;
    this.#requests = registry.counter(name('requests'), 'Retries that were sent');
    this.#successes = registry.counter(name('successes'), 'Requests that a retry made good');
    this.#overflow = registry.counter(name('overflow'), 'Retries that the budget had nothing left for');
    this.#limitExceeded = registry.counter(
      name('limit_exceeded'),
      'Requests that failed after all their retries',
    );
  }

  /**
   * @param authority of the target
   * @param labels `parent_…` and `route_…`
   */
  route(authority: string, labels: Labels): RouteCells {
    const kind = labels['route_kind'];
    const cells = new StatusCells(kind === GRPC_ROUTE ? this.#grpc : this.#http, labels);
    if (kind !== 'ServiceProfile') return cells;
    const older = { direction: 'outbound', dst: authority, rt_route: labels['route_name'] ?? '' };
    return new ProfileCells(cells, new HttpCells(this.#profiles, older));
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

function outboundFamilies(
  registry: Registry,
  kind: string,
  status: Pick<RouteFamilies, 'statusLabel' | 'statusOf'>,
): RouteFamilies {
  return {
    statuses: registry.counter(
      `outbound_${kind}_route_request_statuses_total`,
      'Requests of a route, by the status of their response or by what ended them',
    ),
    durations: registry.histogram(
      `outbound_${kind}_route_request_duration_seconds`,
      "Seconds from a request's head to its response's end, over all of its tries",
      DURATION_BUCKETS,
    ),
    ...status,
  };
}
