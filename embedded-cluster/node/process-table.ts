import { readFileSync, readdirSync } from 'node:fs';

/** In the environment of everything that runs in a container, and inherited by what that starts. */
const MARK_VARIABLE = 'ISTHMUS_CONTAINER_MARK';

/** The variable by which a process and its descendants are found (`isMarked`, `killMarked`). */
export function markEnvironment(mark: string): Record<string, string> {
  return { [MARK_VARIABLE]: mark };
}

/**
 * When a process began, in clock ticks after boot (proc(5), field 22 of `stat`); undefined when there is none, or only
 * a zombie. With its pid it names one process of this boot: a pid alone would name a stranger after a while.
 */
export function startTimeOf(pid: number): string | undefined {
  return readStat(pid)?.startTime;
}

/** The session of a process that is more than a zombie. */
export function sessionOf(pid: number): number | undefined {
  return readStat(pid)?.session;
}

/** Every process of this machine that can be seen. */
export function allProcesses(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid));
}

/**
 * Whether a process was started with a mark that begins with `prefix`. Only what the process was started with counts: one that overwrites the memory of
 * its environment (to show a title) is not recognised, nor one that was started with an empty environment.
 */
export function isMarked(pid: number, prefix: string): boolean {
  let environment: Buffer;
  try {
    environment = readFileSync(`/proc/${pid}/environ`);
  } catch {
    // Gone, or somebody else's.
    return false;
  }
  const entry = Buffer.from(`${MARK_VARIABLE}=${prefix}`);
  const at = environment.indexOf(entry);
  return at === 0 || (at > 0 && environment[at - 1] === 0);
}

function readStat(pid: number): { startTime: string; session: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may hold anything, blanks and parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[19];
  if (fields[0] === 'Z' || fields[0] === 'X' || startTime === undefined) return undefined;
  return { startTime, session: Number(fields[3]) };
}

/** Signals a whole process group. One that is gone already is no error, nor is one of somebody else's by now, which is not ours to end. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  send(-pid, signal);
}

/** Kills every process that was started with the mark, whatever group or session it has moved to. */
export function killMarked(mark: string): void {
  for (const pid of allProcesses()) if (isMarked(pid, mark)) killProcess(pid);
}

export function killProcess(pid: number): void {
  send(pid, 'SIGKILL');
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
