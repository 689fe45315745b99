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

/** The metrics of all links. One per registry; a link's are zero from its start. */
export function createLinkMetrics(registry: Registry): (target: string) => LinkMetrics {
  const registers = [registry];
  const labelNames = [TARGET] as const;
  const staleness = new Map<string, () => number | undefined>();
  const gatewayAlive = new Gauge({
    name: 'gateway_alive',
    help: 'Whether the gateway of the target answers: 1 or 0.',
    labelNames,
    registers,
  });
  const latency = new Gauge({
    name: 'gateway_latency',
    help: 'Latency of the last successful probe, in milliseconds.',
    labelNames,
    registers,
  });
  const latencies = new Histogram({
    name: 'gateway_probe_latency_ms',
    help: 'Latency of successful probes, in milliseconds.',
    labelNames,
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const probes = new Counter({
    name: 'gateway_probes',
    help: 'Probes by result.',
    labelNames: [TARGET, 'probe_successful'] as const,
    registers,
  });
  const repairs = new Counter({
    name: 'service_mirror_endpoint_repairs',
    help: "Changes to mirrors' endpoints that were there.",
    labelNames,
    registers,
  });
  const crashes = new Counter({
    name: 'isthmus_link_worker_crashes_total',
    help: "Deaths of links' worker threads.",
    labelNames,
    registers,
  });
  const services = new Gauge({
    name: 'isthmus_link_services',
    help: 'Exported services of the target, by whether they are mirrored.',
    labelNames: [TARGET, 'mirrored'] as const,
    registers,
  });
  const sync = new Gauge({
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
  });
  return (target) => {
    const of = { [TARGET]: target } as const;
    gatewayAlive.set(of, 0);
    probes.inc({ ...of, probe_successful: 'true' }, 0);
    probes.inc({ ...of, probe_successful: 'false' }, 0);
    repairs.inc(of, 0);
    crashes.inc(of, 0);
    return {
      probed(result) {
        probes.inc({ ...of, probe_successful: String(result.kind === 'alive') });
        if (result.kind !== 'alive') return;
        latency.set(of, result.latencyMs);
        latencies.observe(of, result.latencyMs);
      },
      alive: (alive) => gatewayAlive.set(of, alive === true ? 1 : 0),
      repaired: (count) => repairs.inc(of, count),
      crashed: () => crashes.inc(of),
      mirrors(mirrored, unmirrored) {
        services.set({ ...of, mirrored: 'true' }, mirrored);
        services.set({ ...of, mirrored: 'false' }, unmirrored);
      },
      staleness: (seconds) => staleness.set(target, seconds),
      remove() {
        staleness.delete(target);
        for (const metric of [gatewayAlive, latency, latencies, repairs, crashes, sync]) metric.remove(of);
        for (const value of ['true', 'false']) {
          probes.remove({ ...of, probe_successful: value });
          services.remove({ ...of, mirrored: value });
        }
      },
    };
  };
}
