import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { ProbeResult } from './probe-connection.ts';

/** Metrics of one link, under Linkerd's names where it has them. */
export interface LinkMetrics {
  probed(result: ProbeResult): void;
  alive(alive: boolean | undefined): void;
  repaired(count: number): void;
  crashed(): void;
  mirrors(mirrored: number, unmirrored: number): void;
  /** Asked at each scrape: seconds since the target was last heard of. */
  staleness(seconds: () => number | undefined): void;
  /** The link is gone: so are its series. */
  remove(): void;
}

/** Linkerd's buckets, milliseconds. */
const LATENCY_BUCKETS = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000, 20_000,
  30_000, 40_000, 50_000,
];
const TARGET = 'target_cluster_name';
/** Values of the labels that say whether something is so. */
const BOTH = ['true', 'false'] as const;

/** The metrics of all links. One per registry; a link's are zero from its start. */
export function createLinkMetrics(registry: Registry): (target: string) => LinkMetrics {
  const families = createFamilies(registry);
  return (target) => new OneLink(families, target);
}

type Families = ReturnType<typeof createFamilies>;

function createFamilies(registry: Registry) {
  const registers = [registry];
  const labelNames = [TARGET] as const;
  const staleness = new Map<string, () => number | undefined>();
  return {
    alive: new Gauge({
      name: 'gateway_alive',
      help: 'Whether the gateway of the target answers: 1 or 0.',
      labelNames,
      registers,
    }),
    latency: new Gauge({
      name: 'gateway_latency',
      help: 'Latency of the last successful probe, in milliseconds.',
      labelNames,
      registers,
    }),
    latencies: new Histogram({
      name: 'gateway_probe_latency_ms',
      help: 'Latency of successful probes, in milliseconds.',
      labelNames,
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    probes: new Counter({
      name: 'gateway_probes',
      help: 'Probes by result.',
      labelNames: [TARGET, 'probe_successful'] as const,
      registers,
    }),
    repairs: new Counter({
      name: 'service_mirror_endpoint_repairs',
      help: "Changes to mirrors' endpoints that were there.",
      labelNames,
      registers,
    }),
    crashes: new Counter({
      name: 'isthmus_link_worker_crashes_total',
      help: "Deaths of links' worker threads.",
      labelNames,
      registers,
    }),
    services: new Gauge({
      name: 'isthmus_link_services',
      help: 'Exported services of the target, by whether they are mirrored.',
      labelNames: [TARGET, 'mirrored'] as const,
      registers,
    }),
    sync: new Gauge({
      name: 'isthmus_link_seconds_since_last_sync',
      help: "Seconds since the target's API was last heard of; 0 while it is watched.",
      labelNames,
      registers,
      collect() {
        for (const [target, seconds] of staleness) {
          const value = seconds();
          if (value !== undefined) this.set({ [TARGET]: target }, value);
        }
      },
    }),
    /** What `sync` asks, by target. */
    staleness,
  };
}

/** One link's series of the families. */
class OneLink implements LinkMetrics {
  readonly #families: Families;
  readonly #target: string;
  readonly #labels: { readonly [TARGET]: string };

  constructor(families: Families, target: string) {
    this.#families = families;
    this.#target = target;
    this.#labels = { [TARGET]: target };
    const { alive, probes, repairs, crashes } = families;
    alive.set(this.#labels, 0);
    for (const value of BOTH) probes.inc({ ...this.#labels, probe_successful: value }, 0);
    repairs.inc(this.#labels, 0);
    crashes.inc(this.#labels, 0);
  }

  probed(result: ProbeResult): void {
    const { probes, latency, latencies } = this.#families;
    probes.inc({ ...this.#labels, probe_successful: String(result.kind === 'alive') });
    if (result.kind !== 'alive') return;
    latency.set(this.#labels, result.latencyMs);
    latencies.observe(this.#labels, result.latencyMs);
  }

  alive(alive: boolean | undefined): void {
    this.#families.alive.set(this.#labels, alive === true ? 1 : 0);
  }

  repaired(count: number): void {
    this.#families.repairs.inc(this.#labels, count);
  }

  crashed(): void {
    this.#families.crashes.inc(this.#labels);
  }

  mirrors(mirrored: number, unmirrored: number): void {
    const { services } = this.#families;
    services.set({ ...this.#labels, mirrored: 'true' }, mirrored);
    services.set({ ...this.#labels, mirrored: 'false' }, unmirrored);
  }

  staleness(seconds: () => number | undefined): void {
    this.#families.staleness.set(this.#target, seconds);
  }

  remove(): void {
    const { staleness, alive, latency, latencies, repairs, crashes, sync, probes, services } = this.#families;
    staleness.delete(this.#target);
    for (const metric of [alive, latency, latencies, repairs, crashes, sync]) metric.remove(this.#labels);
    for (const value of BOTH) {
      probes.remove({ ...this.#labels, probe_successful: value });
      services.remove({ ...this.#labels, mirrored: value });
    }
  }
}
