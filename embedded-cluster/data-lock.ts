import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from './node/process-table.ts';

const FILE = 'cluster.lock';

/** Keeps a data directory for one process. A lock of a process that has gone (pid and start time) is taken over. Throws when it is in use. Returns the release. */
export function lockDataDir(dir: string): () => void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, FILE);
  const mine = `${process.pid} ${startTimeOf(process.pid) ?? ''}`;
  try {
    writeFileSync(path, mine, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const [pid = '', startTime = ''] = readFileSync(path, 'utf8').split(' ');
    if (startTime !== '' && startTimeOf(Number(pid)) === startTime)
      throw new Error(
        `data directory ${dir} is in use by the cluster with process id ${pid}: stop that cluster, or choose another directory`,
        { cause: error },
      );
    writeFileSync(path, mine);
  }
  return () => {
    rmSync(path, { force: true });
  };
}
