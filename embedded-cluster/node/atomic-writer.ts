import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** A file of a volume, with its permission bits. */
export interface VolumeFile {
  data: Buffer;
  mode: number;
}

/** Relative path -> file. */
export type Payload = ReadonlyMap<string, VolumeFile>;

const DATA_LINK = '..data';

/**
 * Writes a volume's files so that a reader sees all of the old or all of the new: the files stand in a directory of their own, `..data` is a symbolic
 * link to it that is replaced by rename, and each name in the volume is a link through `..data` (kubelet's scheme, which programs watch for).
 */
export class AtomicWriter {
  readonly #dir: string;
  #written: string | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Returns whether anything had to be written. */
  write(payload: Payload): boolean {
    const digest = digestOf(payload);
    if (digest === this.#written) return false;
    mkdirSync(this.#dir, { recursive: true, mode: 0o755 });
    const before = this.#current();
    const fresh = mkdtempSync(join(this.#dir, '..'.concat(String(Date.now()), '-')));
    for (const [path, file] of payload) {
      const full = join(fresh, path);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, file.data, { mode: file.mode });
    }
    const next = join(this.#dir, `${DATA_LINK}_tmp`);
    rmSync(next, { force: true });
    symlinkSync(fresh.slice(this.#dir.length + 1), next);
    renameSync(next, join(this.#dir, DATA_LINK));
    this.#link(new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path)));
    if (before !== undefined) rmSync(join(this.#dir, before), { recursive: true, force: true });
    this.#written = digest;
    return true;
  }

  #link(names: ReadonlySet<string>): void {
    for (const name of names) {
      const path = join(this.#dir, name);
      if (!existsSync(path)) {
        rmSync(path, { force: true });
        symlinkSync(join(DATA_LINK, name), path);
      }
    }
    for (const name of readdirSync(this.#dir))
      if (!name.startsWith('..') && !names.has(name)) rmSync(join(this.#dir, name), { force: true });
  }

  #current(): string | undefined {
    try {
      return readlinkSync(join(this.#dir, DATA_LINK));
    } catch {
      return undefined;
    }
  }
}

function digestOf(payload: Payload): string {
  const hash = createHash('sha256');
  for (const [path, file] of payload) {
    hash.update(`${path}\0${file.mode}\0${file.data.length}\0`);
    hash.update(file.data);
  }
  return hash.digest('hex');
}
