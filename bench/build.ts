import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type * as bundling from '../image/bundle.ts';
import { entrypointOf, rehearsalOf } from '../image/layout.ts';
import { NODE_ARGS, NODE_ENV } from './processes.ts';

const root = join(import.meta.dirname, '..');

/** Parts that the cases start. */
const PARTS = ['proxy', 'gateway'] as const;

/** The parts as the image has them. */
export interface Build {
  readonly name: string;
  /** Of the image: its first argument names the part. */
  readonly entrypoint: string;
  /** For Node, behind the image's own. */
  readonly nodeArgs: readonly string[];
  /** Where Node keeps what it has compiled of the entry point. */
  readonly compileCache: string;
}

/** Makes what the image is made of, by the same steps: what is measured is what is shipped. @param tree the working tree that it comes from */
export async function build(
  name: string,
  folder: string,
  nodeArgs: readonly string[],
  tree = root,
): Promise<Build> {
  const dist = join(folder, `build-${name}`);
  const compileCache = join(folder, `cache-${name}`);
  const { bundle } = (await import(join(tree, 'image', 'bundle.ts'))) as typeof bundling;
  await bundle(dist);
  const entrypoint = entrypointOf(dist);
  const env = { ...NODE_ENV, NODE_COMPILE_CACHE: compileCache };
  // Without settings a part ends as soon as it is loaded.
  for (const part of PARTS)
    spawnSync(process.execPath, [...NODE_ARGS, ...nodeArgs, entrypoint, part], { env });
  execFileSync(process.execPath, [...NODE_ARGS, ...nodeArgs, rehearsalOf(dist), entrypoint, ...PARTS], {
    env: NODE_ENV,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { name, entrypoint, nodeArgs, compileCache };
}

/** Whether git can check it out. */
export function isRevision(name: string): boolean {
  const verify = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
  return spawnSync('git', verify, { cwd: root }).status === 0;
}

/** A working tree of another revision in a folder of its own, with our packages. @returns what takes it away */
export function checkOut(revision: string, tree: string): () => void {
  git('worktree', 'add', '--detach', '--force', tree, revision);
  const modules = join(tree, 'node_modules');
  if (!existsSync(modules)) symlinkSync(join(root, 'node_modules'), modules);
  return () => git('worktree', 'remove', '--force', tree);
}

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}
