import type { Counter, Family, Histogram, Labels, Registry } from './registry.ts';

export type Direction = 'inbound' | 'outbound';

/** Cells of one (target, endpoint, client): handed to a stack once. */
export class HttpCells {
  readonly #families: HttpMetrics;
  readonly #labels: Labels;
  readonly #requests: Counter;
  readonly #byOutcome = new Map<number, { responses: Counter; latency: Histogram }>();

  constructor(families: HttpMetrics, labels: Labels) {
    this.#families = families;
    this.#labels = labels;
    this.#requests = families.requests.cell(labels);
  }

  request(): void {
    this.#requests.add();
  }

  /** @param latencyMs from the request's head to the end of the response */
  response(status: number, success: boolean, latencyMs: number): void {
    const key = success ? status : -status;
    let cells = this.#byOutcome.get(key);
    if (cells === undefined) {
      const labels = {
        ...this.#labels,
        status_code: String(status),
        classification: success ? 'success' : 'failure',
      };
      cells = {
        responses: this.#families.responses.cell(labels),
        latency: this.#families.latency.cell({ ...this.#labels, status_code: String(status) }),
      };
      this.#byOutcome.set(key, cells);
    }
    cells.responses.add();
    cells.latency.observe(latencyMs);
  }
}

/** `request_total`, `response_total`, `response_latency_ms`: Linkerd's names and labels. */
export class HttpMetrics {
  readonly requests: Family<Counter>;
  readonly responses: Family<Counter>;
  readonly latency: Family<Histogram>;
  readonly errors: Family<Counter>;

  constructor(registry: Registry) {
    this.requests = registry.counter('request_total', 'Requests that were forwarded');
    this.responses = registry.counter('response_total', 'Responses, by status and classification');
    this.latency = registry.histogram(
      'response_latency_ms',
      "Milliseconds from a request's head to its response's end",
    );
    this.errors = registry.counter('http_errors_total', 'Requests that the proxy itself answered, by cause');
  }

  cells(labels: Labels): HttpCells {
    return new HttpCells(this, labels);
  }
}
