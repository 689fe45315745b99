import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { component, DEFAULT_MESH_NAMESPACE } from '../api/names.ts';
import { UserError } from '../cli/errors.ts';
import { waitFor } from '../cli/wait.ts';
import type { ClientStats } from '../examples/types.ts';
import { type ClusterDefinition, contextOf, internalApiServer } from './clusters.ts';
import { run } from './command.ts';
import { kubectl } from './kind.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const launcher = join(root, 'cli/bin/isthmus.mjs');
/** What outlives a command: the anchor that all of these clusters share. */
const STATE = join(root, '.isthmus/kind');
const TRUST = join(STATE, 'trust');
/** Images are there already; the rest is the start of a few processes on a machine that starts many. */
const ROLLOUT_SECONDS = 300;
/** Requests per second. */
const EXAMPLE_RATE = 10;

async function isthmus(args: readonly string[], signal?: AbortSignal): Promise<string> {
  return run([process.execPath, launcher, ...args], signal === undefined ? {} : { signal });
}

/** Makes the trust anchor where there is none yet. */
export async function ensureTrust(): Promise<void> {
  if (!existsSync(join(TRUST, 'ca.crt'))) await isthmus(['trust', 'create', '--out', TRUST]);
}

/** Removes what these commands have left on disk. */
export async function forgetTrust(): Promise<void> {
  await rm(STATE, { recursive: true, force: true });
}

/** Builds the images from this working tree. */
export async function buildImages(signal?: AbortSignal): Promise<void> {
  await run([process.execPath, join(root, 'image/build.ts')], signal === undefined ? {} : { signal });
}

/** Installs the mesh, or brings it to this version; waits until it is available. */
export async function installMesh({ name }: ClusterDefinition, signal?: AbortSignal): Promise<void> {
  const args = ['install', '--context', contextOf(name), '--cluster-name', name, '--trust', TRUST];
  await isthmus(args, signal);
}

/** Restarts the mesh's own pods, so that they run the image that was just loaded; a cluster without a mesh is left alone. */
export async function restartMesh(name: string): Promise<void> {
  const inMesh = ['--namespace', DEFAULT_MESH_NAMESPACE];
  const found = await kubectl(name, [...inMesh, 'get', 'deployments', '--output', 'name']);
  if (found.trim() === '') return;
  await kubectl(name, [...inMesh, 'rollout', 'restart', 'deployments']);
  for (const deployment of [component.controlPlane, component.gateway, component.mirrorController]) {
    await rolledOut(name, DEFAULT_MESH_NAMESPACE, deployment);
  }
}

/** Waits until every replica of a Deployment is of its newest revision and available. */
export async function rolledOut(name: string, namespace: string, deployment: string): Promise<void> {
  await kubectl(name, [
    '--namespace',
    namespace,
    'rollout',
    'status',
    `deployment/${deployment}`,
    `--timeout=${ROLLOUT_SECONDS}s`,
  ]);
}

/** Makes the link from `source` to `target`, by the addresses that pods reach. */
export async function linkClusters(
  { source, target }: { source: ClusterDefinition; target: ClusterDefinition },
  signal?: AbortSignal,
): Promise<void> {
  const contexts = ['--context', contextOf(source.name), '--to', contextOf(target.name)];
  const address = internalApiServer(target.name);
  await isthmus(['link', ...contexts, '--api-server-address', address, '--no-wait'], signal);
}

/** Waits until every link of the cluster works. */
export async function linksWork(name: string): Promise<void> {
  for (const condition of ['ApiReachable', 'Synced', 'GatewayAlive']) {
    await kubectl(name, [
      '--namespace',
      DEFAULT_MESH_NAMESPACE,
      'wait',
      'links.isthmus.dev',
      '--all',
      `--for=condition=${condition}`,
      `--timeout=${ROLLOUT_SECONDS}s`,
    ]);
  }
}

/** The example: `web` in the one cluster, exported; in the other a client that calls it without end, gently: the clusters are to be used for other things. */
export async function deployExample(client: string, server: string): Promise<void> {
  const example = (name: string): Promise<string> => readFile(join(root, 'examples', name), 'utf8');
  const gentle = (await example('client.yaml')).replace(/(name: RATE, value: )'\d+'/, `$1'${EXAMPLE_RATE}'`);
  await kubectl(server, ['apply', '--filename', '-'], { input: await example('web.yaml') });
  await kubectl(client, ['apply', '--filename', '-'], { input: gentle });
  await rolledOut(server, 'demo', 'web');
  await rolledOut(client, 'demo', 'client');
}

/** Waits for the first answer that the example's client got. */
export async function firstAnswer(client: string, signal?: AbortSignal): Promise<ClientStats> {
  let stats: ClientStats | undefined;
  await waitFor(
    'a request from the example client to be answered by the other cluster',
    async () => {
      stats = await clientStats(client);
      return stats?.firstAnswerAt !== null && stats !== undefined;
    },
    {
      timeoutMs: 120_000,
      hint: () => `The last error was: ${stats?.lastError ?? 'the client does not answer'}.`,
      ...(signal === undefined ? {} : { signal }),
    },
  );
  if (stats === undefined) throw new UserError('the example client does not answer');
  return stats;
}

async function clientStats(name: string): Promise<ClientStats | undefined> {
  try {
    const pods = await kubectl(name, [
      '--namespace',
      'demo',
      'get',
      'pods',
      '--selector',
      'app=client',
      '--output',
      'jsonpath={.items[0].metadata.name}',
    ]);
    const path = `/api/v1/namespaces/demo/pods/${pods.trim()}:8080/proxy/stats`;
    return JSON.parse(await kubectl(name, ['get', '--raw', path])) as ClientStats;
  } catch {
    // A kubectl every tenth of a second would be most of this machine's work.
    await delay(500);
    return undefined;
  }
}
