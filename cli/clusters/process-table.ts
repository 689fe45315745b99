import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A cluster that has got SIGTERM lets its pods drain for this long; a second SIGTERM hurries it. */
const DRAIN_MS = 15_000;
/** From the hurry to SIGKILL. */
const HURRY_MS = 15_000;
const LOOK_EVERY_MS = 50;

/** One process as /proc tells of it. `startTime` (ticks since boot) tells it from a later one with the same pid. */
export interface ProcessInfo {
  pid: number;
  parent: number;
  startTime: string;
}

/** Reads one process; undefined when it is gone, or is a zombie. */
export function readProcess(pid: number): ProcessInfo | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command may contain blanks and brackets: fields count from behind its last bracket (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, parent: Number(fields[1]), startTime: fields[19] ?? '' };
}

/** The processes below `root`, itself included. */
export function processTree(root: number): ProcessInfo[] {
  const children = new Map<number, ProcessInfo[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const info = readProcess(pid);
    if (info === undefined) continue;
    const siblings = children.get(info.parent);
    if (siblings === undefined) children.set(info.parent, [info]);
    else siblings.push(info);
  }
  const self = readProcess(root);
  const tree = self === undefined ? [] : [self];
  for (const parent of tree) tree.push(...(children.get(parent.pid) ?? []));
  return tree;
}

/** Proportional set size of one process in KiB: shared pages count by their share. 0 when it cannot be read. */
export function pssKiB(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Ends a process: SIGTERM, SIGTERM again, SIGKILL, each when the one before has not helped in time. Returns when the process is gone. */
export async function stopProcess(pid: number): Promise<void> {
  const startTime = readProcess(pid)?.startTime;
  const alive = (): boolean => startTime !== undefined && readProcess(pid)?.startTime === startTime;
  // A process that is not a child of ours tells nobody of its end: looking is the only way.
  const goneWithin = async (ms: number): Promise<boolean> => {
    const deadline = performance.now() + ms;
    while (alive() && performance.now() < deadline) await delay(LOOK_EVERY_MS);
    return !alive();
  };
  const stages = [
    ['SIGTERM', DRAIN_MS],
    ['SIGTERM', HURRY_MS],
    ['SIGKILL', Infinity],
  ] as const;
  for (const [signal, ms] of stages) {
    if (!alive()) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    if (await goneWithin(ms)) return;
  }
}
