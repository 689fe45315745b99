import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as yaml from 'js-yaml';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, DEFAULT_MESH_NAMESPACE } from '../../api/names.ts';
import type { ClientStats } from '../../examples/types.ts';
import { openCluster } from '../cluster-access.ts';
import { startEmbeddedCluster, stopProcess } from '../clusters/embedded.ts';
import { applyObjects, waitForDeployment } from '../install/apply.ts';
import { defaultValues, install } from '../install/install.ts';
import { applyLink, planLink, waitForLink } from '../link/link.ts';
import { mark, type Output, step } from '../output.ts';
import { createTrustFolder } from '../trust/trust-folder.ts';
import { waitFor } from '../wait.ts';
import { HopRates, type ProxyMetrics } from './hops.ts';
import { renderFrame } from './live-view.ts';
import { clientStats, type DemoCluster, scrapeProxies, totalPssMiB } from './observe.ts';

const FRAME_MS = 1_000;
const DEPLOY_TIMEOUT_MS = 60_000;

export interface DemoOptions {
  /** Folder of everything; a temporary one when undefined. */
  dataDir: string | undefined;
  /** ms after the first answer until the end; undefined: until interrupted. */
  forMs: number | undefined;
  json: boolean;
  keep: boolean;
  /** When the person pressed Enter: ms since the epoch. */
  startedAt: number;
  signal: AbortSignal;
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

/**
 * Two clusters, the mesh in both, linked both ways, and the example between them. Whatever happens, nothing is left behind but with `keep`.
 * Throws what went wrong; an interruption is not wrong.
 */
export async function runDemo(options: DemoOptions, output: Output): Promise<DemoResult | undefined> {
  const dir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'isthmus-')));
  await mkdir(dir, { recursive: true });
  const clusters: DemoCluster[] = [];
  try {
    const { east, west } = await bringUp(dir, clusters, options, output);
    const result = await watchTraffic({ east, west }, clusters, options, output);
    return result;
  } catch (error) {
    if (options.signal.aborted) return undefined;
    throw error;
  } finally {
    await cleanUp(dir, clusters, options, output);
  }
}

async function bringUp(
  dir: string,
  clusters: DemoCluster[],
  options: DemoOptions,
  output: Output,
): Promise<{ east: DemoCluster; west: DemoCluster }> {
  const trustDir = join(dir, 'trust');
  await step(output, 'create the trust anchor', () => createTrustFolder(trustDir));
  const [east, west] = await step(output, 'start clusters east and west', () =>
    Promise.all(['east', 'west'].map((name) => startCluster(name, dir, clusters, options))),
  );
  if (east === undefined || west === undefined) throw new Error('a cluster is missing');
  const quiet: Output = { ...output, err: () => undefined };
  await step(output, 'install the mesh in both', () =>
    Promise.all(
      [east, west].map((c) =>
        install(c.access, defaultValues(c.name, { proxyMode: 'explicit' }), trustDir, quiet),
      ),
    ),
  );
  await step(output, 'deploy web in west, client in east', () =>
    Promise.all([deploy(west, 'web.yaml'), deploy(east, 'client.yaml')]),
  );
  const plans = await step(output, 'link east and west both ways', async () => {
    const base = { meshNamespace: DEFAULT_MESH_NAMESPACE };
    const both = await Promise.all([
      planLink({ ...base, source: east.access, target: west.access }),
      planLink({ ...base, source: west.access, target: east.access }),
    ]);
    await Promise.all(both.map(applyLink));
    return both;
  });
  await step(output, 'gateways alive, services mirrored', () => Promise.all(plans.map(waitForLink)));
  return { east, west };
}

async function startCluster(
  name: string,
  dir: string,
  clusters: DemoCluster[],
  options: DemoOptions,
): Promise<DemoCluster> {
  options.signal.throwIfAborted();
  const state = await startEmbeddedCluster({
    name,
    clustersDir: join(dir, 'clusters'),
    tied: !options.keep,
    signal: options.signal,
  });
  const access = await openCluster({ kubeconfig: state.kubeconfig });
  const cluster = { name, access, pid: state.pid ?? 0 };
  clusters.push(cluster);
  return cluster;
}

async function deploy(cluster: DemoCluster, file: string): Promise<void> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  const objects = yaml.loadAll(text) as KubernetesObject[];
  // A pod that is made before the webhook answers would run without its sidecar.
  await waitForDeployment(
    cluster.access.client,
    DEFAULT_MESH_NAMESPACE,
    component.controlPlane,
    DEPLOY_TIMEOUT_MS,
  );
  await applyObjects(cluster.access.client, objects);
}

async function watchTraffic(
  { east, west }: { east: DemoCluster; west: DemoCluster },
  clusters: readonly DemoCluster[],
  options: DemoOptions,
  output: Output,
): Promise<DemoResult> {
  let stats: ClientStats | undefined;
  await step(output, 'first request from east answered by west', () =>
    waitFor(
      'the first answer',
      async () => {
        stats = await clientStats(east);
        return typeof stats?.firstAnswerAt === 'number';
      },
      { timeoutMs: DEPLOY_TIMEOUT_MS, signal: options.signal, hint: `Last error: ${stats?.lastError}` },
    ),
  );
  const end = options.forMs === undefined ? Infinity : performance.now() + options.forMs;
  const rates = new HopRates();
  let proxies: ProxyMetrics[] = [];
  do {
    proxies = await scrapeProxies(clusters);
    stats = (await clientStats(east)) ?? stats;
    const hops = rates.look(proxies, performance.now());
    if (!options.json && stats !== undefined) show(stats, hops, clusters, output);
    await delay(Math.min(FRAME_MS, Math.max(0, end - performance.now())), undefined, {
      signal: options.signal,
    }).catch(() => undefined);
  } while (performance.now() < end && !options.signal.aborted);
  return result((await clientStats(east)) ?? stats, await scrapeProxies([west]), clusters, options);
}

function show(
  stats: ClientStats,
  hops: ReturnType<HopRates['look']>,
  clusters: readonly DemoCluster[],
  output: Output,
): void {
  const seconds = (Date.now() - (stats.firstAnswerAt ?? Date.now())) / 1000;
  const frame = renderFrame({ stats, hops, pssMiB: totalPssMiB(clusters), seconds }, output.interactive);
  // Home and clear below, so that the frame stands still on a terminal; elsewhere frames follow each other.
  output.err(output.interactive ? `\u001b[H\u001b[J${frame}` : frame);
}

function result(
  stats: ClientStats | undefined,
  westProxies: readonly ProxyMetrics[],
  clusters: readonly DemoCluster[],
  options: DemoOptions,
): DemoResult {
  if (stats === undefined || stats.firstAnswerAt === null) throw new Error('the client has no answers');
  const gateway = westProxies.find((p) => p.workload === component.gateway);
  const server = gateway?.samples.find(
    (s) =>
      s.name === 'response_total' &&
      s.labels['direction'] === 'outbound' &&
      s.labels['server_id'] !== undefined,
  );
  return {
    requests: stats.requests,
    failures: stats.failures,
    byCluster: stats.byCluster,
    clientIdentity: stats.clientIdentity,
    serverIdentity: server?.labels['server_id'] ?? null,
    secondsToFirstRequest: Math.round((stats.firstAnswerAt - options.startedAt) / 100) / 10,
    latencyMs: { p50: round(stats.latencyMs.p50), p99: round(stats.latencyMs.p99) },
    pssMiB: totalPssMiB(clusters),
  };
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

async function cleanUp(
  dir: string,
  clusters: readonly DemoCluster[],
  options: DemoOptions,
  output: Output,
): Promise<void> {
  await Promise.all(clusters.map((cluster) => cluster.access.client.close()));
  if (options.keep) {
    output.err(
      `${mark('ok', output.interactive)} kept in ${dir}: kubectl --kubeconfig ${dir}/clusters/east/kubeconfig …\n`,
    );
    return;
  }
  await step(output, 'remove the clusters', async () => {
    await Promise.all(clusters.map((cluster) => stopProcess(cluster.pid)));
    if (options.dataDir === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    else {
      await rm(join(dir, 'clusters'), { recursive: true, force: true, maxRetries: 5 });
      await rm(join(dir, 'trust'), { recursive: true, force: true });
    }
  });
}
