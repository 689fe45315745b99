import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ClusterAccess } from '../../cli/cluster-access.ts';
import {
  type EmbeddedClusterState,
  openEmbeddedCluster,
  startEmbeddedCluster,
  stopProcess,
} from '../../cli/clusters/embedded.ts';
import type { Cleaner } from '../testing/cleaner.ts';
import { becomes } from '../testing/eventually.ts';

/** What a finished command left. */
export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export const launcher = fileURLToPath(new URL('../../cli/bin/isthmus.mjs', import.meta.url));

/** An embedded cluster as its own process, ended after the test; also when the test's process dies. */
export async function startCluster(
  cleaner: Cleaner,
  name: string,
  clustersDir: string,
  options: { auditLog?: string } = {},
): Promise<EmbeddedClusterState & { access: ClusterAccess }> {
  const state = await startEmbeddedCluster({ name, clustersDir, tied: true, ...options });
  cleaner.after(() => stopProcess(state.pid ?? 0));
  const access = await openEmbeddedCluster(state);
  cleaner.after(() => access.client.close());
  return { ...state, access };
}

/** Runs a command to its end. */
export function run(
  command: readonly string[],
  options: { input?: string; env?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<CommandResult> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return new Promise((resolve, reject) => {
    const result: CommandResult = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...result, code }));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Runs `isthmus`. @param input of its standard input */
export function isthmus(
  args: readonly string[],
  env: Record<string, string> = {},
  input = '',
): Promise<CommandResult> {
  return run([process.execPath, launcher, ...args], { env, input });
}

/** See `becomes`. */
export function eventually<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  return becomes(what, probe, { limitMs: 60_000, everyMs: 100 });
}
