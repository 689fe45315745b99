import { DEFAULT_MESH_NAMESPACE } from '../api/names.ts';
import type { Link } from '../api/isthmus-types.ts';
import { table } from '../cli/output.ts';
import type { ClusterDefinition } from './clusters.ts';
import { run } from './command.ts';
import { kubectl, nodeState } from './kind.ts';
import { nodeOf } from './clusters.ts';

/** A table of the clusters: whether they run, what they run, and how they see each other. */
export async function statusTable(clusters: readonly ClusterDefinition[]): Promise<string> {
  const rows = await Promise.all(clusters.map(({ name }) => statusRow(name)));
  return table(['CLUSTER', 'NODE', 'KUBERNETES', 'MEMORY', 'LINKS'], rows);
}

async function statusRow(name: string): Promise<string[]> {
  const state = await nodeState(name);
  if (state !== 'running') return [name, state, '-', '-', '-'];
  const [version, memory, links] = await Promise.all([
    answerOf(kubernetesVersion(name)),
    answerOf(nodeMemory(name)),
    answerOf(linkStates(name)),
  ]);
  return [name, state, version, memory, links];
}

/** A cluster that does not answer is no reason to show nothing of the others. */
async function answerOf(question: Promise<string>): Promise<string> {
  try {
    return await question;
  } catch {
    return '?';
  }
}

async function kubernetesVersion(name: string): Promise<string> {
  const path = 'jsonpath={.items[0].status.nodeInfo.kubeletVersion}';
  return kubectl(name, ['get', 'nodes', '--request-timeout=5s', '--output', path]);
}

async function nodeMemory(name: string): Promise<string> {
  const used = await run(['docker', 'stats', '--no-stream', '--format', '{{.MemUsage}}', nodeOf(name)]);
  return (used.split('/')[0] ?? '').trim();
}

async function linkStates(name: string): Promise<string> {
  const text = await kubectl(name, [
    '--namespace',
    DEFAULT_MESH_NAMESPACE,
    'get',
    'links.isthmus.dev',
    '--request-timeout=5s',
    '--output',
    'json',
  ]);
  return describeLinks((JSON.parse(text) as { items: Link[] }).items);
}

/** `west alive, north dead`. */
export function describeLinks(links: readonly Link[]): string {
  if (links.length === 0) return 'none';
  return links
    .map(({ spec, status }) => {
      const alive = status?.conditions?.find((condition) => condition.type === 'GatewayAlive');
      const verdict = alive?.status === 'True' ? 'alive' : alive?.status === 'False' ? 'dead' : 'unknown';
      return `${spec.targetClusterName} ${verdict}`;
    })
    .join(', ');
}
