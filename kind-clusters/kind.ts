import { EXAMPLE_IMAGE, IMAGE } from '../api/names.ts';
import { UserError } from '../cli/errors.ts';
import { waitFor } from '../cli/wait.ts';
import { type ClusterDefinition, contextOf, kindConfig, nodeOf } from './clusters.ts';
import { run, type RunOptions } from './command.ts';

/** Names the image of the nodes; kind's own default when it is not set. */
const NODE_IMAGE_VARIABLE = 'KIND_NODE_IMAGE';
/** A node that starts on a busy machine takes its time. */
const READY_SECONDS = 300;

export type NodeState = 'absent' | 'stopped' | 'running';

/** Throws a UserError that says which of Docker, kind and kubectl is missing or does not answer. */
export async function requireTools(): Promise<void> {
  await tool(['docker', 'info', '--format', '{{.ServerVersion}}'], 'Install Docker and start it.');
  await tool(['kind', 'version'], 'Install kind: https://kind.sigs.k8s.io.');
  await tool(['kubectl', 'version', '--client'], 'Install kubectl: https://kubernetes.io/docs/tasks/tools.');
}

async function tool(command: readonly string[], hint: string): Promise<void> {
  try {
    await run(command);
  } catch (error) {
    throw new UserError(`${command[0]} is needed and does not answer`, hint, { cause: error });
  }
}

export async function nodeState(name: string): Promise<NodeState> {
  const listed = await run([
    'docker',
    'ps',
    '--all',
    '--filter',
    `name=^${nodeOf(name)}$`,
    '--format',
    '{{.State}}',
  ]);
  const state = listed.trim();
  if (state === '') return 'absent';
  return state === 'running' ? 'running' : 'stopped';
}

/** Makes the cluster; one that does not come up, or is interrupted, is removed again. */
export async function createCluster(cluster: ClusterDefinition, signal?: AbortSignal): Promise<void> {
  const image = process.env[NODE_IMAGE_VARIABLE];
  const options = image === undefined || image === '' ? [] : ['--image', image];
  try {
    await run(
      [
        'kind',
        'create',
        'cluster',
        '--name',
        cluster.name,
        '--config',
        '-',
        '--wait',
        `${READY_SECONDS}s`,
        ...options,
      ],
      { input: kindConfig(cluster), ...(signal === undefined ? {} : { signal }) },
    );
  } catch (error) {
    await deleteCluster(cluster.name);
    throw error;
  }
}

/** Starts a cluster whose node was stopped, and waits until its API tells of the node as it is now. */
export async function startCluster(name: string): Promise<void> {
  const since = Date.now();
  await run(['docker', 'start', nodeOf(name)]);
  await exportKubeconfig(name);
  await waitFor(`node ${nodeOf(name)} to be ready`, () => readySince(name, since), {
    timeoutMs: READY_SECONDS * 1000,
    hint: `See \`docker logs ${nodeOf(name)}\`.`,
  });
}

/** Puts the cluster's context (back) into the kubeconfig. */
export async function exportKubeconfig(name: string): Promise<void> {
  await run(['kind', 'export', 'kubeconfig', '--name', name]);
}

/** What the API says of a node is old until its kubelet has reported again. Heartbeats have whole seconds. */
async function readySince(name: string, since: number): Promise<boolean> {
  const path = '{.items[0].status.conditions[?(@.type=="Ready")]}';
  try {
    const text = await kubectl(name, ['get', 'nodes', '--request-timeout=5s', '-o', `jsonpath=${path}`]);
    const ready = JSON.parse(text) as { status: string; lastHeartbeatTime: string };
    return ready.status === 'True' && Date.parse(ready.lastHeartbeatTime) > since;
  } catch {
    return false;
  }
}

/** Also one that is half made; one that is not there is fine. */
export async function deleteCluster(name: string): Promise<void> {
  await run(['kind', 'delete', 'cluster', '--name', name]);
}

/** Puts the images into a cluster's node; those that it has are left alone. */
export async function loadImages(name: string): Promise<void> {
  await run(['kind', 'load', 'docker-image', IMAGE, EXAMPLE_IMAGE, '--name', name]);
}

/** Runs kubectl on the cluster and answers its standard output. */
export async function kubectl(
  name: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return run(['kubectl', '--context', contextOf(name), ...args], options);
}
