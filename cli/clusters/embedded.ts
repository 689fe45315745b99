import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EXAMPLE_IMAGE, IMAGE } from '../../api/names.ts';
import { UserError } from '../errors.ts';
import { readProcess } from './process-table.ts';

/** A cluster's API must answer within this; start-up takes about a second, so this only bounds a broken start. */
const START_TIMEOUT_MS = 60_000;
/** SIGTERM to SIGKILL: pods get their own grace within this. */
const STOP_TIMEOUT_MS = 45_000;
const NAME = /^[a-z0-9]([-a-z0-9]{0,39}[a-z0-9])?$/;

/** A running embedded cluster, by what lies in its folder. */
export interface EmbeddedClusterState {
  name: string;
  dir: string;
  /** undefined when it is not running. */
  pid: number | undefined;
  kubeconfig: string;
  url: string;
}

/** Folder below which `isthmus cluster` keeps its clusters: $ISTHMUS_HOME, or the user's data folder (XDG base directory specification). */
export function defaultClustersDir(): string {
  const home = process.env['ISTHMUS_HOME'];
  if (home !== undefined && home !== '') return join(home, 'clusters');
  const data = process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share');
  return join(data, 'isthmus', 'clusters');
}

interface ProcessRecord {
  pid: number;
  startTime: string;
  url: string;
  /** Path. */
  kubeconfig: string;
}

/**
 * Starts a cluster in `<clustersDir>/<name>` (with the content that is there, if any) and waits until its API answers.
 * `tied`: the cluster ends when this process does, however it ends. Throws a UserError when it runs already.
 */
export async function startEmbeddedCluster(options: {
  name: string;
  clustersDir: string;
  tied: boolean;
  signal?: AbortSignal;
}): Promise<EmbeddedClusterState> {
  const { name, clustersDir } = options;
  if (!NAME.test(name)) {
    throw new UserError(
      `"${name}" is no cluster name`,
      'Use lower-case letters, digits and hyphens, at most 41 characters, beginning and ending with a letter or digit.',
    );
  }
  const dir = join(clustersDir, name);
  if ((await readState(clustersDir, name))?.pid !== undefined) {
    throw new UserError(
      `cluster "${name}" is already running`,
      `\`isthmus cluster delete ${name}\` ends it.`,
    );
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, 'config.json'), JSON.stringify(clusterConfig(name, dir, options.tied), null, 2));
  const log = join(dir, 'cluster.log');
  const child = spawnCluster(dir, log, options.tied);
  const ready = await waitReady(child, name, log, options.signal);
  const pid = child.pid ?? 0;
  const { url, kubeconfig } = ready;
  const record: ProcessRecord = { pid, startTime: readProcess(pid)?.startTime ?? '', url, kubeconfig };
  writeFileSync(join(dir, 'process.json'), JSON.stringify(record));
  child.unref();
  return { name, dir, pid, kubeconfig, url };
}

function clusterConfig(name: string, dir: string, tied: boolean): object {
  const script = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  // Young-generation pages are the bulk of an idle process; the parts hardly allocate per request.
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'];
  const cache = process.env['NODE_COMPILE_CACHE'];
  const env = { MALLOC_ARENA_MAX: '1', ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) };
  return {
    name,
    dataDir: join(dir, 'data'),
    exitWithStdin: tied,
    images: {
      [IMAGE]: { command: [...node, script('image/entrypoint.ts')], env },
      [EXAMPLE_IMAGE]: { command: [...node, script('examples/main.ts')], env },
    },
  };
}

function spawnCluster(dir: string, log: string, tied: boolean): ChildProcess {
  const main = fileURLToPath(new URL('../../embedded-cluster/main.ts', import.meta.url));
  const fd = openSync(log, 'w', 0o600);
  try {
    return spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--max-semi-space-size=2',
        main,
        '--config',
        join(dir, 'config.json'),
      ],
      {
        detached: true,
        stdio: [tied ? 'pipe' : 'ignore', fd, fd],
        env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      },
    );
  } finally {
    closeSync(fd);
  }
}

interface ReadyLine {
  ready: true;
  url: string;
  /** Path of the file that the cluster has written. */
  kubeconfig: string;
}

/** The cluster says in one line of its log that it is ready, and how it is reached. */
async function waitReady(
  child: ChildProcess,
  name: string,
  log: string,
  signal: AbortSignal | undefined,
): Promise<ReadyLine> {
  const watcher = watch(log);
  try {
    return await new Promise<ReadyLine>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`cluster "${name}" is not ready after 60 s; log:\n${tail(log)}`)),
        START_TIMEOUT_MS,
      );
      const done = (): void => clearTimeout(timer);
      const look = (): void => {
        const line = readyLine(readFileSync(log, 'utf8'));
        if (line === undefined) return;
        done();
        resolve(line);
      };
      watcher.on('change', look);
      child.once('error', reject);
      child.once('exit', (code, by) => {
        done();
        reject(new Error(`cluster "${name}" ended at start (${by ?? `exit ${code}`}); log:\n${tail(log)}`));
      });
      signal?.addEventListener('abort', () => {
        done();
        reject(new Error('interrupted'));
      });
      look();
    });
  } catch (error) {
    if (child.pid !== undefined && child.exitCode === null) await stopProcess(child.pid);
    throw error;
  } finally {
    watcher.close();
    child.removeAllListeners('exit');
  }
}

function readyLine(text: string): ReadyLine | undefined {
  const line = text.split('\n').find((l) => l.startsWith('{"ready":true'));
  if (line === undefined) return undefined;
  try {
    return JSON.parse(line) as ReadyLine;
  } catch {
    return undefined; // Only half of the line has been written yet.
  }
}

function tail(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-20).join('\n');
}

async function readState(clustersDir: string, name: string): Promise<EmbeddedClusterState | undefined> {
  const dir = join(clustersDir, name);
  let record: ProcessRecord;
  try {
    record = JSON.parse(await readFile(join(dir, 'process.json'), 'utf8')) as ProcessRecord;
  } catch {
    return undefined;
  }
  const running = readProcess(record.pid)?.startTime === record.startTime;
  return {
    name,
    dir,
    pid: running ? record.pid : undefined,
    kubeconfig: record.kubeconfig,
    url: record.url,
  };
}

export async function listEmbeddedClusters(clustersDir: string): Promise<EmbeddedClusterState[]> {
  const names = await readdir(clustersDir).catch((): string[] => []);
  const states = await Promise.all(names.toSorted().map((name) => readState(clustersDir, name)));
  return states.filter((state) => state !== undefined);
}

export async function findEmbeddedCluster(clustersDir: string, name: string): Promise<EmbeddedClusterState> {
  const state = await readState(clustersDir, name);
  if (state === undefined) {
    const known = (await listEmbeddedClusters(clustersDir)).map((c) => c.name).join(', ');
    throw new UserError(`there is no cluster "${name}"`, `There are: ${known || 'none'}.`);
  }
  return state;
}

/** Ends the cluster with its pods, and removes its folder. */
export async function deleteEmbeddedCluster(state: EmbeddedClusterState): Promise<void> {
  if (state.pid !== undefined) await stopProcess(state.pid);
  await rm(state.dir, { recursive: true, force: true, maxRetries: 5 });
}

/** SIGTERM, then SIGKILL after the grace. Returns when the process is gone. */
export async function stopProcess(pid: number): Promise<void> {
  const startTime = readProcess(pid)?.startTime;
  const alive = (): boolean => startTime !== undefined && readProcess(pid)?.startTime === startTime;
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  if (alive()) process.kill(pid, 'SIGTERM');
  // A process that is not a child of ours tells nobody of its end: looking is the only way.
  while (alive() && performance.now() < deadline) await delay(50);
  if (alive()) process.kill(pid, 'SIGKILL');
  while (alive()) await delay(50);
}
