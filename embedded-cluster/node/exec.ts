import { spawn } from 'node:child_process';
import { killGroup, markEnvironment } from './process-table.ts';

/** Kubelet cuts what a probe's command printed to this. */
const MAX_OUTPUT_BYTES = 10 * 1024;

/** Runs a short command in a process group of its own, for probes and lifecycle hooks. A command that takes too long is killed and fails. */
export function execCommand(
  command: readonly string[],
  options: {
    cwd: string;
    env: Record<string, string>;
    /** Of the container: by it an agent that comes up after a crash finds the command. */
    mark: string;
    timeoutMs: number;
  },
): Promise<{ exitCode: number; output: string }> {
  const [file = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...options.env, ...markEnvironment(options.mark) },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid } = child;
    let output = '';
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(0, MAX_OUTPUT_BYTES);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (pid !== undefined) killGroup(pid, 'SIGKILL');
    }, options.timeoutMs);
    const finish = (exitCode: number): void => {
      clearTimeout(timer);
      const message = late ? `command timed out after ${options.timeoutMs / 1000}s` : output;
      resolve({ exitCode, output: message });
    };
    child.once('error', (error) => {
      output = error.message;
      finish(127);
    });
    child.once('exit', (code) => {
      if (pid !== undefined) killGroup(pid, 'SIGKILL');
      finish(code ?? 137);
    });
  });
}
