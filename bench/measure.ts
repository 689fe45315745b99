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

/** MiB of memory: all that is mapped and present, and the part of it that no file stands behind. */
export function memoryMib(pid: number): { rss: number; anonymous: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { rss: kib('Rss') / 1_024, anonymous: kib('Anonymous') / 1_024 };
}

/** The middle of some numbers; of an even count the lower of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}
