import { readFileSync, readdirSync } from 'node:fs';

/** µs of CPU that a process has used, all threads, from the scheduler's own count (ns): `/proc/PID/stat` counts in ticks of 10 ms and misses short runs. */
export function cpuMicros(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread has ended between the two calls.
    }
  }
  return ns / 1_000;
}

/** KiB of memory in proportion to who shares it. */
export function pssKib(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
}

/** The middle of some numbers; of an even count the lower of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}
