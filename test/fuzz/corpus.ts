import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, 'corpus');

/** Inputs that are kept for a target, in the order of their names. */
export function readCorpus(target: string): { name: string; bytes: Buffer }[] {
  const folder = join(ROOT, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

/** Keeps an input. `kind` says why: `crash` for what once failed, `path` for what reaches code that the others do not. @returns its path */
export function keep(target: string, kind: 'crash' | 'path', bytes: Buffer): string {
  const name = `${kind}-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
  const path = join(ROOT, target, name);
  mkdirSync(join(ROOT, target), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}
