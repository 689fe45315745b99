import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { DATA_PLANE_FLAGS, NODE_FLAGS } from '../image/layout.ts';
import type { Build } from './build.ts';

/** Also where Debian puts servers, which is not in everybody's PATH. */
const SYSTEM = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
/** ms for a process to listen. */
const START_MS = 10_000;
const RETRY_MS = 30;

/** What a process is for. Proxies share one processor and everything else another one: what is measured never waits for what measures. */
export type Role = 'proxy' | 'load';

const PROCESSOR: Readonly<Record<Role, string>> = { proxy: '0', load: '1' };

/** As containers of proxies and gateways are started: the figures are of what is shipped. */
export const NODE_ARGS = [...NODE_FLAGS, ...DATA_PLANE_FLAGS] as const;
export const NODE_ENV = { ...process.env, MALLOC_ARENA_MAX: '1' };

/** Path of an installed program; undefined: it is not there. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Processes of one benchmark: ended with `close`, by the handle that started them. */
export class Processes {
  readonly #children = new Set<ChildProcess>();

  /** Starts a program whose output nobody needs; what it says on standard error is passed on. */
  start(role: Role, name: string, args: readonly string[]): ChildProcess {
    const program = findProgram(name) ?? name;
    const [first = program, ...rest] = pinned(role, [program, ...args]);
    return this.#keep(spawn(first, rest, { stdio: ['ignore', 'ignore', 'inherit'] }));
  }

  /** Starts a file as a Node process that talks by messages. */
  startNode(role: Role, file: string, args: readonly string[] = []): ChildProcess {
    return this.#startNode(role, [file, ...args], process.env, ['ipc']);
  }

  /** Starts a part of ours as its container is started. */
  startPart(
    { entrypoint, nodeArgs, compileCache }: Build,
    part: string,
    env: NodeJS.ProcessEnv,
  ): ChildProcess {
    const command = [...NODE_ARGS, ...nodeArgs, entrypoint, part];
    return this.#startNode('proxy', command, { ...NODE_ENV, NODE_COMPILE_CACHE: compileCache, ...env }, []);
  }

  /** Ends some of them. */
  async end(pids: readonly number[]): Promise<void> {
    await ended([...this.#children].filter(({ pid }) => pid !== undefined && pids.includes(pid)));
  }

  async close(): Promise<void> {
    await ended([...this.#children]);
  }

  /** The same where nobody can wait for it. */
  tellAll(): void {
    for (const child of this.#children) child.kill('SIGTERM');
  }

  #startNode(role: Role, args: readonly string[], env: NodeJS.ProcessEnv, more: 'ipc'[]): ChildProcess {
    const [first = process.execPath, ...rest] = pinned(role, [process.execPath, ...args]);
    return this.#keep(spawn(first, rest, { env, stdio: ['ignore', 'ignore', 'inherit', ...more] }));
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

async function ended(children: readonly ChildProcess[]): Promise<void> {
  const exits = children.map((child) => {
    child.kill('SIGTERM');
    return new Promise<void>((resolve) => child.once('exit', () => resolve()));
  });
  await Promise.all(exits);
}

/** The command on its role's processor; as it is where there is only one, or no `taskset`. */
export function pinned(role: Role, command: readonly string[]): readonly string[] {
  const taskset = availableParallelism() > 1 ? findProgram('taskset') : undefined;
  return taskset === undefined ? command : [taskset, '-c', PROCESSOR[role], ...command];
}

/** pid of a process that has been started. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`);
  return child.pid;
}

/** Resolves with the first message of a child whose `kind` is this one; rejects when it ends before. */
export function message<T extends { kind: string }>(child: ChildProcess, kind: T['kind']): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`)));
    child.on('message', (value: T) => {
      if (value.kind === kind) resolve(value);
    });
  });
}

/** Resolves when something listens there. */
export async function listening(host: string, port: number): Promise<void> {
  for (const end = Date.now() + START_MS; Date.now() < end;) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port });
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new Error(`nothing listens on ${host}:${port}`);
}
