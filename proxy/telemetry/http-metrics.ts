import type { Cause } from '../errors.ts';
import { MAX_GRPC_STATUS, NO_GRPC_STATUS } from './classify.ts';
import type { Counter, Family, Histogram, Labels, Registry } from './registry.ts';

/** As seen from the pod. */
export type Direction = 'inbound' | 'outbound';

/** How a request ended. One object is used again and again: what is told is read at once. */
export interface Outcome {
  /** Status of the response; where the app or peer gave none, the status that we answered with. */
  status: number;
  success: boolean;
  /** ms from the request's head to the end of the response. */
  latencyMs: number;
  /** One of gRPC's codes, or `NO_GRPC_STATUS`. */
  grpcStatus: number;
  /** Code of `errors.ts` of what ended it before its time; empty: nothing did. */
  error: string;
}

interface OutcomeCells {
  readonly responses: Counter;
  readonly latency: Histogram;
}

/** Distinct values of a gRPC status in an outcome's key, "none" included. */
export const GRPC_VALUES = MAX_GRPC_STATUS + 2;

/** The three names that requests of one kind count under. */
export interface RequestFamilies {
  readonly requests: Family<Counter>;
  readonly responses: Family<Counter>;
  readonly latency: Family<Histogram>;
}

/** Cells of one (target, endpoint, client): handed to a stack once. */
export class HttpCells {
  readonly #families: RequestFamilies;
  readonly #labels: Labels;
  readonly #requests: Counter;
  readonly #byOutcome = new Map<number, OutcomeCells>();
  readonly #byError = new Map<string, OutcomeCells>();

  constructor(families: RequestFamilies, labels: Labels) {
    this.#families = families;
    this.#labels = labels;
    this.#requests = families.requests.cell(labels);
  }

  request(): void {
    this.#requests.add();
  }

  response(outcome: Outcome): void {
    const { responses, latency } = outcome.error === '' ? this.#ended(outcome) : this.#broken(outcome);
    responses.add();
    latency.observe(outcome.latencyMs);
  }

  #ended(outcome: Outcome): OutcomeCells {
    const { status, success, grpcStatus } = outcome;
    const key = (status * GRPC_VALUES + grpcStatus + 1) * 2 + (success ? 1 : 0);
    let cells = this.#byOutcome.get(key);
    if (cells === undefined) {
      cells = this.#make(outcome);
      this.#byOutcome.set(key, cells);
    }
    return cells;
  }

  #broken(outcome: Outcome): OutcomeCells {
    const key = `${outcome.error} ${outcome.status} ${outcome.grpcStatus} ${outcome.success}`;
    let cells = this.#byError.get(key);
    if (cells === undefined) {
      cells = this.#make(outcome);
      this.#byError.set(key, cells);
    }
    return cells;
  }

  #make({ status, success, grpcStatus, error }: Outcome): OutcomeCells {
    const labels = { ...this.#labels, status_code: String(status) };
    return {
      responses: this.#families.responses.cell({
        ...labels,
        classification: success ? 'success' : 'failure',
        grpc_status: grpcStatus === NO_GRPC_STATUS ? '' : String(grpcStatus),
        error,
      }),
      latency: this.#families.latency.cell(labels),
    };
  }
}

/** `request_total`, `response_total`, `response_latency_ms`: Linkerd's names and labels. */
export class HttpMetrics implements RequestFamilies {
  readonly requests: Family<Counter>;
  readonly responses: Family<Counter>;
  readonly latency: Family<Histogram>;
  readonly inboundErrors: Family<Counter>;
  readonly outboundErrors: Family<Counter>;

  constructor(registry: Registry) {
    this.requests = registry.counter('request_total', 'Requests that were forwarded');
    this.responses = registry.counter(
      'response_total',
      'Responses, by status and classification; `error` where the proxy ended the request',
    );
    this.latency = registry.histogram(
      'response_latency_ms',
      "Milliseconds from a request's head to its response's end",
    );
    const help = 'Requests that the proxy itself answered, or ended, by cause';
    this.inboundErrors = registry.counter('inbound_http_errors_total', help);
    this.outboundErrors = registry.counter('outbound_http_errors_total', help);
  }

  /** Count a request that no layer has seen, since its head could not be read. */
  readonly refusedInbound = (cause: Cause): void => this.inboundErrors.cell({ error: cause.code }).add();
  readonly refusedOutbound = (cause: Cause): void => this.outboundErrors.cell({ error: cause.code }).add();

  cells(labels: Labels): HttpCells {
    return new HttpCells(this, labels);
  }
}
