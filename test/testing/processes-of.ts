import { readdirSync, readFileSync } from 'node:fs';

/** Pids of processes, but for this one, whose command line or environment names the folder: a test's pods, clusters and commands. */
export function processesOf(dir: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) =>
      [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].some((file) => read(file).includes(dir)),
    );
}

/** Those of them whose command line has the text in it. */
export function processesRunning(dir: string, text: string): number[] {
  return processesOf(dir).filter((pid) => read(`/proc/${pid}/cmdline`).includes(text));
}

/** Empty where the process has ended meanwhile, or is another user's. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
