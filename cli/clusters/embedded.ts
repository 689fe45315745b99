import { renameSync, writeFileSync } from 'node:fs';
import { access, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { linkCredentials } from '../../kubernetes/credentials.ts';
import { cliClient, type ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { homeFolder } from '../home-folder.ts';
import { makeFolder } from '../make-folder.ts';
import { dataFolder, launchCluster } from './launch.ts';
import { readProcess, stopProcess } from './process-table.ts';

export { stopProcess } from './process-table.ts';

const NAME = /^[a-z0-9]([-a-z0-9]{0,39}[a-z0-9])?$/;

/** An embedded cluster, by what lies in its folder. */
export interface EmbeddedClusterState {
  name: string;
  dir: string;
  /** undefined when it is not running. */
  pid: number | undefined;
  /** Path of a cluster-admin's kubeconfig. */
  kubeconfig: string;
  /** Address of the API, at its last start; empty when it has never been ready. */
  url: string;
}

/** Folder below which `isthmus cluster` keeps its clusters: $ISTHMUS_HOME, or the user's data folder (XDG base directory specification). */
export function defaultClustersDir(): string {
  const home = process.env['ISTHMUS_HOME'];
  if (home !== undefined && home !== '') return join(home, 'clusters');
  const data = process.env['XDG_DATA_HOME'] || join(homeFolder(), '.local', 'share');
  return join(data, 'isthmus', 'clusters');
}

/** `process.json`: the process of the last start. */
interface ProcessRecord {
  pid: number;
  /** Tells the process from a later one with the same pid. */
  startTime: string;
  url: string;
}

/**
 * Starts a cluster in `<clustersDir>/<name>` (with the content that is there, if any) and waits until its API answers.
 * `tied`: the cluster ends when this process does, however it ends. Throws a UserError when it runs already.
 */
export async function startEmbeddedCluster(options: {
  name: string;
  clustersDir: string;
  tied: boolean;
  auditLog?: string;
  signal?: AbortSignal;
}): Promise<EmbeddedClusterState> {
  const { name, clustersDir } = options;
  const dir = clusterFolder(clustersDir, name);
  if ((await readState(clustersDir, name))?.pid !== undefined) {
    throw new UserError(
      `cluster "${name}" is already running`,
      `\`isthmus cluster delete ${name}\` ends it; \`isthmus cluster kubeconfig ${name}\` shows how it is reached.`,
    );
  }
  await makeFolder(dir, 0o700);
  let record: ProcessRecord = { pid: 0, startTime: '', url: '' };
  const url = await launchCluster({
    ...options,
    dir,
    onSpawn: (pid) => {
      record = { ...record, pid, startTime: readProcess(pid)?.startTime ?? '' };
      writeRecord(dir, record);
    },
  });
  try {
    writeRecord(dir, { ...record, url });
  } catch (error) {
    await stopProcess(record.pid);
    throw error;
  }
  return { name, dir, pid: record.pid, kubeconfig: kubeconfigOf(dir), url };
}

/** Throws a UserError for what is no cluster name: the name becomes a folder, a context and a node. */
function clusterFolder(clustersDir: string, name: string): string {
  if (NAME.test(name)) return join(resolve(clustersDir), name);
  throw new UserError(
    `"${name}" is no cluster name`,
    'Use lower-case letters, digits and hyphens, at most 41 characters, beginning and ending with a letter or digit.',
  );
}

function writeRecord(dir: string, record: ProcessRecord): void {
  const draft = join(dir, 'process.json.tmp');
  writeFileSync(draft, JSON.stringify(record));
  renameSync(draft, join(dir, 'process.json'));
}

function kubeconfigOf(dir: string): string {
  return join(dataFolder(dir), 'kubeconfig');
}

/** undefined when the folder is none of a cluster. A record that cannot be read means that no process is known. */
async function readState(clustersDir: string, name: string): Promise<EmbeddedClusterState | undefined> {
  const dir = clusterFolder(clustersDir, name);
  try {
    await access(join(dir, 'config.json'));
  } catch {
    return undefined;
  }
  const record = await readRecord(dir);
  const running = record !== undefined && readProcess(record.pid)?.startTime === record.startTime;
  return {
    name,
    dir,
    pid: running ? record.pid : undefined,
    kubeconfig: kubeconfigOf(dir),
    url: record?.url ?? '',
  };
}

async function readRecord(dir: string): Promise<ProcessRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, 'process.json'), 'utf8')) as ProcessRecord;
  } catch {
    return undefined;
  }
}

/** The clusters below a folder, by name. */
export async function listEmbeddedClusters(clustersDir: string): Promise<EmbeddedClusterState[]> {
  const names = await readdir(clustersDir).catch((): string[] => []);
  const states = await Promise.all(
    names
      .filter((name) => NAME.test(name))
      .toSorted()
      .map((name) => readState(clustersDir, name)),
  );
  return states.filter((state) => state !== undefined);
}

/** Throws a UserError that names those that there are. */
export async function findEmbeddedCluster(clustersDir: string, name: string): Promise<EmbeddedClusterState> {
  const state = await readState(clustersDir, name);
  if (state !== undefined) return state;
  const known = (await listEmbeddedClusters(clustersDir)).map((c) => c.name).join(', ');
  throw new UserError(
    `there is no cluster "${name}" in ${clustersDir}`,
    `There are: ${known || 'none'}. Clusters of another folder are named with --data-dir.`,
  );
}

/** Opens a cluster as its administrator. Its kubeconfig is our own and holds everything, so the loader of users' kubeconfigs, which is large, stays out. */
export async function openEmbeddedCluster({
  name,
  kubeconfig,
}: EmbeddedClusterState): Promise<ClusterAccess> {
  const config = linkCredentials(await readFile(kubeconfig, 'utf8'));
  return { context: name, config, client: cliClient(config) };
}

/** Ends the cluster with its pods, also those that a killed cluster has left, and removes its folder. */
export async function deleteEmbeddedCluster(state: EmbeddedClusterState): Promise<void> {
  if (state.pid !== undefined) await stopProcess(state.pid);
  const { endLeftovers } = await import('../../embedded-cluster/index.ts');
  try {
    await endLeftovers(dataFolder(state.dir));
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), undefined, { cause: error });
  }
  await rm(state.dir, { recursive: true, force: true, maxRetries: 5 });
}
