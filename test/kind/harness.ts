import type { Link } from '../../api/isthmus-types.ts';
import type { Pod } from '../../api/kubernetes-types.ts';
import { DEFAULT_MESH_NAMESPACE, label } from '../../api/names.ts';
import { type ClusterAccess, openCluster } from '../../cli/cluster-access.ts';
import type { ClientStats } from '../../examples/types.ts';
import { contextOf } from '../../kind-clusters/clusters.ts';
import { kubectl } from '../../kind-clusters/kind.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { becomes } from '../testing/eventually.ts';

/** Longest that anything may take to become true: a stopped node comes back in half a minute, in minutes where eight other things run. */
const EVENTUALLY_MS = 420_000;
const LOOK_EVERY_MS = 500;

/** A kind cluster of the suite, with a client of its API. */
export interface TestCluster {
  readonly name: string;
  readonly client: KubernetesClient;
}

export async function openTestCluster(name: string): Promise<TestCluster & ClusterAccess> {
  return { name, ...(await openCluster({ context: contextOf(name) })) };
}

/** See `becomes`. */
export function eventually<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  return becomes(what, probe, { limitMs: EVENTUALLY_MS, everyMs: LOOK_EVERY_MS });
}

/** Status of a condition of the link from `cluster` to `target`. */
export async function linkCondition(
  { client }: TestCluster,
  target: string,
  type: string,
): Promise<string | undefined> {
  const link: Link = await client.get(resources.links, DEFAULT_MESH_NAMESPACE, target);
  return link.status?.conditions?.find((condition) => condition.type === type)?.status;
}

/** Pods of a component of the mesh that are not on their way out. */
export async function meshPods({ client }: TestCluster, component: string): Promise<Pod[]> {
  const { items } = await client.list(resources.pods, {
    namespace: DEFAULT_MESH_NAMESPACE,
    labelSelector: `${label.component}=${component}`,
  });
  return items.filter((pod) => pod.metadata?.deletionTimestamp === undefined);
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
}

/** The one ready pod of an app. */
export async function appPod({ client }: TestCluster, namespace: string, app: string): Promise<string> {
  const { items } = await client.list(resources.pods, { namespace, labelSelector: `app=${app}` });
  const pod = items.find((one) => one.metadata?.deletionTimestamp === undefined && isReady(one));
  if (pod?.metadata?.name === undefined) throw new Error(`no ready pod of ${app} in ${namespace}`);
  return pod.metadata.name;
}

/** What the load client of a cluster has counted since its start. */
export async function loadStats(cluster: TestCluster, namespace: string): Promise<ClientStats> {
  const pod = await appPod(cluster, namespace, 'load');
  return cluster.client.raw('GET', `/api/v1/namespaces/${namespace}/pods/${pod}:8080/proxy/stats`);
}

/** Runs a command in a container and answers its standard output. */
async function exec(
  cluster: TestCluster,
  namespace: string,
  pod: string,
  container: string,
  command: readonly string[],
): Promise<string> {
  return kubectl(cluster.name, [
    '--namespace',
    namespace,
    'exec',
    pod,
    '--container',
    container,
    '--',
    ...command,
  ]);
}

/** What a request from inside a pod came to. */
export interface Answer {
  /** 0 when there was no answer. */
  status: number;
  proxyError: string | null;
  body: string;
}

const FETCH = `const url = process.argv[1];
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(20_000) });
  const body = await answer.text();
  console.log(JSON.stringify({ status: answer.status, proxyError: answer.headers.get('l5d-proxy-error'), body }));
} catch (error) {
  console.log(JSON.stringify({ status: 0, proxyError: null, body: String(error.cause ?? error) }));
}`;

/** A request from the app `from` (a container of the same name) to `url`, by plain \`fetch\`. */
export async function request(
  cluster: TestCluster,
  namespace: string,
  from: string,
  url: string,
): Promise<Answer> {
  const pod = await appPod(cluster, namespace, from);
  const command = ['node', '--input-type=module', '--eval', FETCH, url];
  return JSON.parse(await exec(cluster, namespace, pod, from, command)) as Answer;
}
