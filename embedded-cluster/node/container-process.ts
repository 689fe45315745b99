import { spawn } from 'node:child_process';
import type { LogWriter } from './log-file.ts';
import type { ProcessRecords } from './process-records.ts';
import { killGroup, killMarked, markEnvironment } from './process-table.ts';

/** What is run: the composed command of a container. */
export interface ProcessSpec {
  command: readonly [string, ...string[]];
  cwd: string;
  env: Record<string, string>;
  /** Names everything that belongs to the container: what outlives its first process is found by it. */
  mark: string;
}

/** A container's process, and what it starts. */
export interface ContainerProcess {
  readonly pid: number;
  /** Signals the process group; nothing happens when it has ended. */
  signal(signal: NodeJS.Signals): void;
  /**
   * Resolves once, when the process has ended, all that it has left running is killed and its output is in the log. 128
   * + number for a signal, as a shell says it.
   */
  readonly exited: Promise<number>;
}

/** Output of a process that has ended is normally read at once; a descendant that nothing recognises any more may hold the pipe for ever. */
const OUTPUT_LIMIT_MS = 500;

/** A process that can't be recorded (a full disk) must not live: nobody would find it after a crash. */
function recordOrKill(pid: number, records: ProcessRecords): void {
  try {
    records.add(pid);
  } catch (error) {
    killGroup(pid, 'SIGKILL');
    throw error;
  }
}

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Starts a process in a group of its own and records it. Rejects with the system's error when the command can't be run. */
export async function startProcess(
  spec: ProcessSpec,
  log: LogWriter,
  records: ProcessRecords,
): Promise<ContainerProcess> {
  const [file, ...args] = spec.command;
  const child = spawn(file, args, {
    cwd: spec.cwd,
    env: { ...spec.env, ...markEnvironment(spec.mark) },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid !== undefined) recordOrKill(pid, records);
  child.stdout.on('data', (chunk: Buffer) => {
    log.write('stdout', chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log.write('stderr', chunk);
  });

  let ended = false;
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true;
      if (pid !== undefined) {
        killGroup(pid, 'SIGKILL');
        killMarked(spec.mark);
        records.remove(pid);
      }
      const status = code ?? 128 + (signal === null ? 0 : (SIGNAL_NUMBERS[signal] ?? 0));
      const finish = (): void => {
        clearTimeout(limit);
        log.close();
        resolve(status);
      };
      const limit = setTimeout(finish, OUTPUT_LIMIT_MS);
      child.once('close', finish);
    });
  });

  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  if (pid === undefined) throw new Error(`${file}: started without a process id`);
  return {
    pid,
    exited,
    signal(signal) {
      if (!ended) killGroup(pid, signal);
    },
  };
}
