import { Discovery, type DiscoveryOptions, type Found } from '../control/discovery.ts';
import { causes } from '../errors.ts';
import type { OutboundRules } from '../route/outbound-rules.ts';
import { Balance, type BalanceOptions, type Supply } from './balance.ts';
import type { Reach } from './reach.ts';
import { TargetMetrics, type TargetMetricsOptions } from './target-metrics.ts';
import type { Endpoint } from '../balance/endpoint.ts';

/** What a backend is made with. */
export interface BackendOptions
  extends TargetMetricsOptions, Omit<BalanceOptions, 'metrics' | 'reach' | 'late'> {
  discovery: DiscoveryOptions;
  reach: (one: Endpoint, metrics: TargetMetrics) => Reach;
  /** May requests leave through another cluster's gateway? */
  throughGateways: boolean;
}

/** A Service that routes of another target send requests to: its endpoints, and the balance over them. It has no routes of its own there (Gateway API). */
export class Backend {
  readonly balance: Balance;
  readonly #discovery: Discovery;
  readonly #metrics: TargetMetrics;

  /** @param path `name:port` as the control plane knows it */
  constructor(path: string, options: BackendOptions) {
    const metrics = new TargetMetrics(path, options);
    const balance = new Balance({
      ...options,
      metrics,
      reach: (one) => options.reach(one, metrics),
      // Requests come here by a route that is known.
      late: () => {},
    });
    this.balance = balance;
    this.#metrics = metrics;
    this.#discovery = new Discovery(path, options.discovery, (found) => {
      if (found.kind === 'endpoints') metrics.named(found.name);
      balance.supply(supplyOf(found, options.throughGateways));
    });
    this.#discovery.resume();
  }

  configure(rules: OutboundRules): void {
    this.balance.configure(rules);
  }

  /** It is asked again: follows its endpoints. */
  resume(): void {
    this.balance.resume();
    this.#discovery.resume();
  }

  /** Nobody asks it: follows nothing. What is known is kept. */
  suspend(): void {
    this.balance.suspend();
    this.#discovery.suspend();
  }

  close(): void {
    this.suspend();
    this.balance.close();
    this.#metrics.endpoints(0, 0);
  }
}

/** What of discovery's news a balance works by. What is no Service is nothing that a route can send to. */
export function supplyOf(found: Found, throughGateways: boolean): Supply {
  if (found.kind === 'no-service') return { kind: 'none', cause: causes.noSuchTarget };
  if (found.kind === 'waiting' || throughGateways) return found;
  const foreign = found.endpoints.some((one) => one.authorityOverride !== undefined);
  return foreign ? { kind: 'none', cause: causes.gatewayLoop } : found;
}
