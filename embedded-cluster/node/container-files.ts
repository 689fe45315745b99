import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeLog } from './log-file.ts';

/** Where one container's files stand in its pod's directory. */
export class ContainerFiles {
  readonly #podDir: string;
  readonly #name: string;

  constructor(podDir: string, name: string) {
    this.#podDir = podDir;
    this.#name = name;
  }

  /** What the container sees as its root: links to its mounts. */
  get root(): string {
    return join(this.#podDir, 'roots', this.#name);
  }

  /** Its writable directory, new with each run. */
  get scratch(): string {
    return join(this.#podDir, 'scratch', this.#name);
  }

  /** Log of the run with this restart count. */
  log(run: number): string {
    return join(this.#podDir, 'logs', this.#name, `${run}.log`);
  }

  /** Makes room for a run: an empty scratch directory, and of the logs only that of the run before. */
  prepareRun(run: number): void {
    if (run >= 2) removeLog(this.log(run - 2));
    rmSync(this.scratch, { recursive: true, force: true });
    mkdirSync(this.scratch, { recursive: true, mode: 0o700 });
  }
}
