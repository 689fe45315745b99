import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** When a process began, in clock ticks after boot (proc(5), field 22 of `stat`); undefined when there is none, or only a zombie. */
export function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may hold anything, blanks and parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

/** How long a killed process may take to leave before the start goes on without it. */
const LEAVE_LIMIT_MS = 5000;
const LEAVE_CHECK_MS = 10;

/**
 * The processes that this agent has started, on disk, so that one that comes up after a crash finds them. A pid alone would name a stranger after a
 * while; pid and start time together name one process of this boot.
 */
export class ProcessRecords {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /** Synchronous on purpose: between the start of a process and its record nothing else may run. */
  add(pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime !== undefined) writeFileSync(join(this.#dir, String(pid)), startTime);
  }

  remove(pid: number): void {
    rmSync(join(this.#dir, String(pid)), { force: true });
  }

  /** Kills every recorded process group that still is the one recorded, and waits until it has left. Returns how many. */
  async killLeftovers(): Promise<number> {
    const killed: { pid: number; startTime: string }[] = [];
    for (const name of readdirSync(this.#dir)) {
      const pid = Number(name);
      const startTime = readFileSync(join(this.#dir, name), 'utf8');
      if (startTimeOf(pid) === startTime) {
        killGroup(pid, 'SIGKILL');
        killed.push({ pid, startTime });
      }
      this.remove(pid);
    }
    const deadline = Date.now() + LEAVE_LIMIT_MS;
    while (killed.some((p) => startTimeOf(p.pid) === p.startTime) && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, LEAVE_CHECK_MS);
      });
    }
    return killed.length;
  }
}

/** Signals a whole process group. One that is gone already is no error, nor is one of somebody else's by now, which is not ours to end. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
