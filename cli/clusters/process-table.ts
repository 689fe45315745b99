import { readdirSync, readFileSync } from 'node:fs';

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
