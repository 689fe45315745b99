import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXAMPLE_IMAGE, IMAGE } from '../../api/names.ts';
import { exampleOf, NODE_FLAGS, NODE_VARIABLE, startOf } from '../../image/layout.ts';
import { UserError } from '../errors.ts';
import { ownImage, sharedImage } from './image.ts';
import { stopProcess } from './process-table.ts';

/** A cluster's API must answer within this; start-up takes about a second, so this only bounds a broken start. */
const START_TIMEOUT_MS = 60_000;
/** Lines of the log that the error of a broken start shows. */
const TAIL_LINES = 20;

/** Where a cluster's own things stand, below its folder. */
export function dataFolder(dir: string): string {
  return join(dir, 'data');
}

export interface LaunchOptions {
  name: string;
  /** The cluster's folder, absolute. */
  dir: string;
  /** The cluster ends when this process does, however it ends. */
  tied: boolean;
  /** File for a line on each request to the API, absolute. */
  auditLog?: string;
  signal?: AbortSignal;
  /** Called as soon as there is a process: who writes it down can end it, whatever comes. */
  onSpawn: (pid: number) => void;
}

/**
 * Starts the process of an embedded cluster and waits until its API answers. When that fails, or is interrupted,
 * nothing is left running; an interruption is thrown as the signal's reason. Answers its URL.
 */
export async function launchCluster(options: LaunchOptions): Promise<string> {
  const { name, dir, tied, signal, onSpawn } = options;
  signal?.throwIfAborted();
  const own = join(dir, 'image');
  const image = tied ? await sharedImage(own) : ownImage(own);
  // Who is killed meanwhile must leave no cluster behind that has no image; and pods of an earlier start want it at
  // once. Those of a new cluster that ends with us come later.
  if (!tied || existsSync(dataFolder(dir))) await image.made;
  signal?.throwIfAborted();
  writeFileSync(join(dir, 'config.json'), JSON.stringify(clusterConfig(options, image.folder), null, 2));
  const log = join(dir, 'cluster.log');
  const child = spawnCluster(dir, log, tied);
  try {
    if (child.pid !== undefined) onSpawn(child.pid);
    const [{ url }] = await Promise.all([readyLineOf(child, name, log, signal), image.made]);
    child.unref();
    return url;
  } catch (error) {
    if (child.pid !== undefined) await stopProcess(child.pid);
    throw error;
  }
}

function clusterConfig({ name, dir, tied, auditLog }: LaunchOptions, image: string): object {
  const cache = process.env['NODE_COMPILE_CACHE'];
  const env = { MALLOC_ARENA_MAX: '1', ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) };
  return {
    name,
    dataDir: dataFolder(dir),
    exitWithStdin: tied,
    auditLog,
    images: {
      // By the shell: the folder may lie where no file can be executed.
      [IMAGE]: { command: ['/bin/sh', startOf(image)], env: { ...env, [NODE_VARIABLE]: process.execPath } },
      [EXAMPLE_IMAGE]: { command: [process.execPath, ...NODE_FLAGS, exampleOf(image)], env },
    },
  };
}

function spawnCluster(dir: string, log: string, tied: boolean): ChildProcess {
  const main = fileURLToPath(new URL('../../embedded-cluster/main.ts', import.meta.url));
  const node = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'];
  const fd = openSync(log, 'w', 0o600);
  try {
    return spawn(process.execPath, [...node, main, '--config', join(dir, 'config.json')], {
      // A group of its own: Ctrl-C at the terminal is for the command, which ends the cluster in its order.
      detached: true,
      stdio: [tied ? 'pipe' : 'ignore', fd, fd],
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    });
  } finally {
    closeSync(fd);
  }
}

interface ReadyLine {
  ready: true;
  url: string;
}

/** What the machine refuses, as Node names it. */
const REFUSED = /\b(?:ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EMFILE|ENFILE|ENOMEM): [^"\\\n]+/;
/** As the lock of a cluster's folder tells it. */
const TAKEN = /\bdata directory [^"\n]+ is in use by the cluster with process id [^":\n]+/;

/** Why a cluster did not start: what its log says of the machine is the user's to mend, all else is ours. */
export function startFailure(what: string, log: string, text: string): Error {
  const taken = TAKEN.exec(text)?.[0];
  if (taken !== undefined)
    return new UserError(
      `${what}: ${taken}`,
      'Another command has started it: `isthmus cluster list` shows it.',
    );
  const refused = REFUSED.exec(text)?.[0];
  if (refused === undefined) return new Error(`${what}; log:\n${text}`);
  return new UserError(`${what}: ${refused}`, `Its folder is ${dirname(log)}.`);
}

/** The cluster says in one line of its log that it is ready, and how it is reached. */
async function readyLineOf(
  child: ChildProcess,
  name: string,
  log: string,
  signal: AbortSignal | undefined,
): Promise<ReadyLine> {
  const { promise, resolve, reject } = Promise.withResolvers<ReadyLine>();
  const fail = (what: string): void => reject(startFailure(`cluster "${name}" ${what}`, log, tail(log)));
  const timer = setTimeout(() => fail(`is not ready after ${START_TIMEOUT_MS / 1000} s`), START_TIMEOUT_MS);
  const watcher = watch(log);
  const look = (): void => {
    const line = readyLine(readFileSync(log, 'utf8'));
    if (line !== undefined) resolve(line);
  };
  const onExit = (code: number | null, by: NodeJS.Signals | null): void =>
    fail(`ended at its start (${by ?? `exit code ${code}`})`);
  const onAbort = (): void => reject(signal?.reason);
  watcher.on('change', look);
  child.once('error', reject);
  child.once('exit', onExit);
  signal?.addEventListener('abort', onAbort);
  try {
    look();
    return await promise;
  } finally {
    clearTimeout(timer);
    watcher.close();
    child.off('exit', onExit);
    signal?.removeEventListener('abort', onAbort);
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
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
}
