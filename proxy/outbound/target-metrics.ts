import type { Endpoint } from '../balance/endpoint.ts';
import type { Route } from '../route/outbound-rules.ts';
import type { HttpCells, HttpMetrics } from '../telemetry/http-metrics.ts';
import type { Counter, Family, Gauge } from '../telemetry/registry.ts';
import type { RetryCells, RouteCells, RouteMetrics } from '../telemetry/route-metrics.ts';
import { targetLabels } from '../telemetry/target-labels.ts';
import { destinationLabels } from './destination-labels.ts';
import { tlsLabels } from './peers.ts';

export interface TargetMetricsOptions {
  http: HttpMetrics;
  routes: RouteMetrics;
  /** `outbound_http_balancer_endpoints`. */
  endpoints: Family<Gauge>;
}

/** How many endpoints can be asked now, and how many are left alone for a while. */
interface Counts {
  ready: number;
  pending: number;
}

/**
 * The cells of one target. Its label `authority` is the name of the Service behind it, however the app named it (a short name, the address that a redirected
 * connection was going to), as Linkerd's proxy shows it; what is no Service is shown as it was asked for.
 */
export class TargetMetrics {
  readonly #options: TargetMetricsOptions;
  readonly #port: string;
  #authority: string;
  #unplaced: HttpCells | undefined;
  #waiting = 0;
  #routes = new WeakMap<Route, RouteCells>();
  /** What of the gauges is this target's: several may lead to one Service. Undefined: nothing was told yet. */
  #counted: Counts | undefined;

  /** @param authority `host:port` as the app named it */
  constructor(authority: string, options: TargetMetricsOptions) {
    this.#options = options;
    this.#authority = authority;
    this.#port = authority.slice(authority.lastIndexOf(':'));
  }

  /** As the label has it. */
  get authority(): string {
    return this.#authority;
  }

  /** What the Service is called; empty: it has no name. Counts from now on. */
  named(service: string): void {
    const authority = `${service}${this.#port}`;
    if (service === '' || authority === this.#authority) return;
    const counted = this.#counted;
    const waiting = this.#waiting;
    if (counted !== undefined) this.endpoints(0, 0);
    if (waiting > 0) this.queue(0);
    this.#authority = authority;
    this.#unplaced = undefined;
    this.#routes = new WeakMap();
    if (counted !== undefined) this.endpoints(counted.ready, counted.pending);
    if (waiting > 0) this.queue(waiting);
  }

  /** Of requests that reached no endpoint. */
  unplaced(): HttpCells {
    const authority = this.#authority;
    this.#unplaced ??= this.#options.http.cells({ direction: 'outbound', authority });
    return this.#unplaced;
  }

  reach(one: Endpoint): HttpCells {
    return this.#options.http.cells({
      direction: 'outbound',
      authority: this.#authority,
      ...targetLabels(one.address, one.port),
      ...tlsLabels(one),
      ...destinationLabels(one),
    });
  }

  /** Of a route to the target: its Service is the parent. */
  route(route: Route): RouteCells {
    let cells = this.#routes.get(route);
    if (cells === undefined) {
      cells = this.#options.routes.route(this.#authority, {
        ...parentLabels(this.#authority),
        ...route.labels,
      });
      this.#routes.set(route, cells);
    }
    return cells;
  }

  endpoints(ready: number, pending: number): void {
    this.#gauge('ready', ready - (this.#counted?.ready ?? 0));
    this.#gauge('pending', pending - (this.#counted?.pending ?? 0));
    this.#counted = { ready, pending };
  }

  /** One more request had to wait for an endpoint. */
  queued(): void {
    this.#options.routes.queueRequests.cell({ authority: this.#authority }).add();
  }

  /** So many wait now. */
  queue(length: number): void {
    this.#options.routes.queueLength.cell({ authority: this.#authority }).add(length - this.#waiting);
    this.#waiting = length;
  }

  retries(): RetryCells {
    return this.#options.routes.retries({ authority: this.#authority });
  }

  ejections(): Counter {
    return this.#options.routes.ejections.cell({ authority: this.#authority });
  }

  #gauge(state: keyof Counts, change: number): void {
    this.#options.endpoints.cell({ authority: this.#authority, endpoint_state: state }).add(change);
  }
}

/** Linkerd's `parent_…` labels of a Service; what is none is its own name. */
function parentLabels(authority: string): Record<string, string> {
  const colon = authority.lastIndexOf(':');
  const [name = '', namespace = '', svc] = authority.slice(0, colon).split('.');
  const port = authority.slice(colon + 1);
  if (svc !== 'svc') return { parent_kind: 'default', parent_name: authority };
  return {
    parent_group: 'core',
    parent_kind: 'Service',
    parent_namespace: namespace,
    parent_name: name,
    parent_port: port,
  };
}
