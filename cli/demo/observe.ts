import { request } from 'undici';
import type { ClientStats } from '../../examples/types.ts';
import { component, label, port } from '../../api/names.ts';
import type { Pod } from '../../api/kubernetes-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { ClusterAccess } from '../cluster-access.ts';
import { processTree, pssKiB } from '../clusters/process-table.ts';
import type { ProxyMetrics } from './hops.ts';
import { parseSamples } from './prometheus-text.ts';

/** Proxies answer within ms. One that does not must not hold up the picture, which is drawn each second. */
const SCRAPE_TIMEOUT_MS = 3_000;

/** A cluster of the demo. */
export interface DemoCluster {
  name: string;
  access: ClusterAccess;
  /** Process of the embedded cluster. */
  pid: number;
}

/** What the client application measured, or undefined while it is not up. */
export async function clientStats(cluster: DemoCluster): Promise<ClientStats | undefined> {
  const pods = await podsOf(cluster, 'demo', 'app=client');
  const ip = pods.find((pod) => pod.status?.phase === 'Running')?.status?.podIP;
  if (ip === undefined) return undefined;
  const body = await fetchText(`http://${ip}:8080/stats`);
  return body === undefined ? undefined : (JSON.parse(body) as ClientStats);
}

/** Metrics of every proxy and gateway of the clusters. A proxy that does not answer is left out. */
export async function scrapeProxies(clusters: readonly DemoCluster[]): Promise<ProxyMetrics[]> {
  const all = await Promise.all(
    clusters.map(async (cluster) => {
      const pods = await podsOf(cluster, undefined, label.controlPlaneNs);
      const proxies = pods.filter(hasProxy);
      return Promise.all(proxies.map((pod) => scrape(cluster.name, pod)));
    }),
  );
  return all.flat().filter((metrics) => metrics !== undefined);
}

async function scrape(cluster: string, pod: Pod): Promise<ProxyMetrics | undefined> {
  const body = await fetchText(`http://${pod.status?.podIP}:${port.admin}/metrics`);
  if (body === undefined) return undefined;
  const { name = '', labels = {} } = pod.metadata ?? {};
  return { cluster, workload: labels['app'] ?? labels[label.component] ?? name, samples: parseSamples(body) };
}

function hasProxy(pod: Pod): boolean {
  if (pod.status?.podIP === undefined) return false;
  if (pod.metadata?.labels?.[label.component] === component.gateway) return true;
  return pod.spec?.initContainers?.some((c) => c.name === component.proxy) === true;
}

async function podsOf(
  cluster: DemoCluster,
  namespace: string | undefined,
  labelSelector: string,
): Promise<Pod[]> {
  const options = namespace === undefined ? { labelSelector } : { namespace, labelSelector };
  return (await cluster.access.client.list(resources.pods, options)).items;
}

/** undefined when there is no answer, or not 200: the next look comes soon. */
async function fetchText(url: string): Promise<string | undefined> {
  try {
    const response = await request(url, {
      headersTimeout: SCRAPE_TIMEOUT_MS,
      bodyTimeout: SCRAPE_TIMEOUT_MS,
    });
    const text = await response.body.text();
    return response.statusCode === 200 ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Proportional set size of this command, the clusters and all their pods, in MiB. */
export function totalPssMiB(clusters: readonly DemoCluster[]): number {
  const pids = new Set([process.pid, process.ppid]);
  for (const { pid } of clusters) for (const info of processTree(pid)) pids.add(info.pid);
  let kib = 0;
  for (const pid of pids) kib += pssKiB(pid);
  return Math.round(kib / 1024);
}
