import { setTimeout as delay } from 'node:timers/promises';
import { component } from '../../api/names.ts';
import type { ClientStats } from '../../examples/types.ts';
import { waitFor } from '../wait.ts';
import { type Hop, HopRates, type ProxyMetrics } from './hops.ts';
import { clientStats, type DemoCluster, scrapeProxies, totalPssMiB } from './observe.ts';

/** Between two pictures: numbers that change faster cannot be read. */
const FRAME_MS = 1_000;
/** From the deployment of the example to its first answer, which waits for sidecars, mirrors and the gateway. */
const FIRST_ANSWER_TIMEOUT_MS = 60_000;

/** What was seen in one look at the running mesh. */
export interface Sight {
  stats: ClientStats;
  hops: readonly Hop[];
  /** All processes together. */
  pssMiB: number;
}

/** The line of JSON that `--json` ends with. */
export interface DemoResult {
  requests: number;
  failures: number;
  byCluster: Record<string, number>;
  clientIdentity: string | null;
  serverIdentity: string | null;
  secondsToFirstRequest: number;
  latencyMs: { p50: number; p99: number };
  pssMiB: number;
}

/** The demo's two clusters: requests go from east to west. */
export interface DemoPair {
  east: DemoCluster;
  west: DemoCluster;
}

/** Waits until a request has been answered; throws a UserError with the client's last error when none is in time. */
export async function waitForFirstAnswer({ east }: DemoPair, signal: AbortSignal): Promise<void> {
  let lastError: string | null = null;
  await waitFor(
    'the first answer',
    async () => {
      const stats = await clientStats(east);
      lastError = stats?.lastError ?? lastError;
      return typeof stats?.firstAnswerAt === 'number';
    },
    { timeoutMs: FIRST_ANSWER_TIMEOUT_MS, signal, hint: () => `The client's last error: ${lastError}.` },
  );
}

/** Looks once a second until `forMs` have passed (undefined: for ever) or the signal comes. */
export async function watchTraffic(
  { east, west }: DemoPair,
  forMs: number | undefined,
  signal: AbortSignal,
  onSight: (sight: Sight) => void,
): Promise<void> {
  const end = forMs === undefined ? Infinity : performance.now() + forMs;
  const rates = new HopRates();
  let stats: ClientStats | undefined;
  while (performance.now() < end && !signal.aborted) {
    const hops = rates.look(await scrapeProxies([east, west]), performance.now());
    stats = (await clientStats(east)) ?? stats;
    if (stats !== undefined) onSight({ stats, hops, pssMiB: totalPssMiB([east, west]) });
    const left = Math.max(0, end - performance.now());
    await delay(Math.min(FRAME_MS, left), undefined, { signal }).catch(() => undefined);
  }
}

/** What the client and west's gateway have measured by now. `startedAt`: ms since the epoch. */
export async function measure({ east, west }: DemoPair, startedAt: number): Promise<DemoResult> {
  const [stats, westProxies] = await Promise.all([clientStats(east), scrapeProxies([west])]);
  if (stats === undefined || stats.firstAnswerAt === null) throw new Error('the client does not answer');
  return {
    requests: stats.requests,
    failures: stats.failures,
    byCluster: stats.byCluster,
    clientIdentity: stats.clientIdentity,
    serverIdentity: identityBehindGateway(westProxies) ?? null,
    secondsToFirstRequest: Math.round((stats.firstAnswerAt - startedAt) / 100) / 10,
    latencyMs: { p50: hundredths(stats.latencyMs.p50), p99: hundredths(stats.latencyMs.p99) },
    pssMiB: totalPssMiB([east, west]),
  };
}

/** Whom the gateway met, by mutual TLS, when it handed the requests on. */
function identityBehindGateway(proxies: readonly ProxyMetrics[]): string | undefined {
  const gateway = proxies.find((proxy) => proxy.workload === component.gateway);
  return gateway?.samples.find(
    ({ name, labels }) =>
      name === 'response_total' && labels['direction'] === 'outbound' && labels['server_id'] !== undefined,
  )?.labels['server_id'];
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
