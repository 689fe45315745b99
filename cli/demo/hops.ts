import { parseSpiffeId } from '../../api/names.ts';
import { quantile, type Sample } from './prometheus-text.ts';

/** One proxy's view of one kind of traffic since the last look. */
export interface Hop {
  cluster: string;
  /** Workload that the proxy belongs to. */
  workload: string;
  direction: 'inbound' | 'outbound';
  /** Who is on the other side, by mTLS; undefined when the traffic is plain. */
  peer: string | undefined;
  requestsPerSecond: number;
  successRate: number;
  p50: number;
  p99: number;
}

/** Cumulative state of one hop at one moment. */
interface Totals {
  hop: Pick<Hop, 'cluster' | 'workload' | 'direction' | 'peer'>;
  success: number;
  failure: number;
  buckets: Map<number, number>;
}

/** A scraped proxy. */
export interface ProxyMetrics {
  cluster: string;
  workload: string;
  samples: Sample[];
}

/** Turns counters of all proxies into rates between two looks. Two pods of a workload count as one. */
export class HopRates {
  #last = new Map<string, Totals>();
  #lastAt = 0;

  /** `now` in ms. The first look yields nothing: there is nothing to compare with. */
  look(proxies: readonly ProxyMetrics[], now: number): Hop[] {
    const totals = sum(proxies);
    const seconds = (now - this.#lastAt) / 1000;
    const hops =
      this.#lastAt === 0 ? [] : [...totals].map(([key, t]) => rate(t, this.#last.get(key), seconds));
    this.#last = totals;
    this.#lastAt = now;
    return hops.filter((hop) => hop.requestsPerSecond > 0);
  }
}

function sum(proxies: readonly ProxyMetrics[]): Map<string, Totals> {
  const totals = new Map<string, Totals>();
  for (const { cluster, workload, samples } of proxies) {
    for (const sample of samples) {
      if (sample.name !== 'response_total' && sample.name !== 'response_latency_ms_bucket') continue;
      const direction = sample.labels['direction'] === 'inbound' ? 'inbound' : 'outbound';
      const peer = sample.labels[direction === 'inbound' ? 'client_id' : 'server_id'];
      const key = `${cluster} ${workload} ${direction} ${peer}`;
      let total = totals.get(key);
      if (total === undefined) {
        total = { hop: { cluster, workload, direction, peer }, success: 0, failure: 0, buckets: new Map() };
        totals.set(key, total);
      }
      add(total, sample);
    }
  }
  return totals;
}

function add(total: Totals, { name, labels, value }: Sample): void {
  if (name === 'response_latency_ms_bucket') {
    const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le']);
    total.buckets.set(bound, (total.buckets.get(bound) ?? 0) + value);
  } else if (labels['classification'] === 'failure') total.failure += value;
  else total.success += value;
}

function rate(now: Totals, before: Totals | undefined, seconds: number): Hop {
  const success = now.success - (before?.success ?? 0);
  const failure = now.failure - (before?.failure ?? 0);
  const buckets = new Map(
    [...now.buckets].map(([bound, n]) => [bound, n - (before?.buckets.get(bound) ?? 0)]),
  );
  return {
    ...now.hop,
    requestsPerSecond: (success + failure) / seconds,
    successRate: success + failure === 0 ? 1 : success / (success + failure),
    p50: quantile(buckets, 0.5),
    p99: quantile(buckets, 0.99),
  };
}

/** A SPIFFE ID as people read it: `client.demo @ east`. */
export function shortIdentity(identity: string | undefined): string {
  if (identity === undefined || identity === '') return '-';
  const spiffe = parseSpiffeId(identity);
  if (spiffe !== undefined) return `${spiffe.serviceAccount}.${spiffe.namespace} @ ${spiffe.clusterId}`;
  return identity.split('.serviceaccount.')[0] ?? identity;
}
