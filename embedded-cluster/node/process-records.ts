import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allProcesses, isMarked, killProcess, sessionOf, startTimeOf } from './process-table.ts';

/** How long killed processes may take to leave before the start goes on without it. */
const LEAVE_LIMIT_MS = 5000;
/** Killed processes leave within ms. */
const LEAVE_CHECK_MS = 10;
const MARK_FILE = 'mark';

/**
 * The processes that the agents of this directory have started, so that one that comes up after a crash finds them: the containers' first processes by pid
 * and start time on disk, all that they have started since by a mark in the environment, which is this directory's own. The mark is there before the
 * record can be, and stays when the first process has gone; the record holds for one that has overwritten its environment.
 */
export class ProcessRecords {
  readonly #dir: string;
  readonly #mark: string;

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#mark = ownMark(dir);
  }

  /** What marks the processes of one container. */
  markOf(containerId: string): string {
    return `${this.#mark}.${containerId}`;
  }

  /** Synchronous on purpose: between the start of a process and its record nothing else may run. */
  add(pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime !== undefined) writeFileSync(join(this.#dir, String(pid)), `${startTime} ${bootId()}`);
  }

  remove(pid: number): void {
    rmSync(join(this.#dir, String(pid)), { force: true });
  }

  /** Kills everything of ours that runs, and waits until it has left. Returns how many processes there were. */
  async killLeftovers(): Promise<number> {
    // Once, before the first of them goes: then it can't be told any more whose session it was.
    const sessions = new Set(this.#recorded().filter((pid) => this.#isSame(pid)));
    const killed = new Map<number, string | undefined>();
    const deadline = Date.now() + LEAVE_LIMIT_MS;
    for (;;) {
      // Anew each time: a process may have started another while it was looked for.
      const left = this.#leftovers(sessions);
      for (const pid of left) {
        killed.set(pid, startTimeOf(pid));
        killProcess(pid);
      }
      // One that is going shows neither mark nor memory, and may still hold its sockets.
      const going = [...killed].some(([pid, start]) => start !== undefined && startTimeOf(pid) === start);
      if ((left.length === 0 && !going) || Date.now() > deadline) break;
      await new Promise<void>((resolve) => {
        setTimeout(resolve, LEAVE_CHECK_MS);
      });
    }
    for (const pid of this.#recorded()) this.remove(pid);
    return killed.size;
  }

  #leftovers(sessions: ReadonlySet<number>): number[] {
    return allProcesses().filter((pid) => {
      const session = sessionOf(pid);
      return session !== undefined && (sessions.has(session) || isMarked(pid, `${this.#mark}.`));
    });
  }

  #recorded(): number[] {
    return readdirSync(this.#dir)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  }

  /** Whether the pid still names the process that was recorded. */
  #isSame(pid: number): boolean {
    const [startTime, boot] = readFileSync(join(this.#dir, String(pid)), 'utf8').split(' ');
    return boot === bootId() && startTime === startTimeOf(pid);
  }
}

function ownMark(dir: string): string {
  const file = join(dir, MARK_FILE);
  try {
    const mark = readFileSync(file, 'utf8');
    // Half a mark, from a full disk, would be everybody's.
    if (/^[0-9a-f]{32}$/.test(mark)) return mark;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const mark = randomBytes(16).toString('hex');
  writeFileSync(file, mark, { mode: 0o600 });
  return mark;
}

/** Start times count from the boot: those of another boot say nothing. */
function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
