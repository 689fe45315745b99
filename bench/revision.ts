import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { build as esbuild } from 'esbuild';
import type { Build } from './isthmus.ts';

const root = join(import.meta.dirname, '..');

/** One file of the benchmark's sidecar, as the image has one of each part: what is measured is what is shipped. `tree`: the working tree that it comes from. */
export async function bundled(
  name: string,
  folder: string,
  nodeArgs: readonly string[],
  tree = root,
): Promise<Build> {
  const own = join(folder, `build-${name}`);
  mkdirSync(own);
  symlinkSync(join(root, 'node_modules'), join(own, 'node_modules'));
  const file = join(own, 'sidecar.mjs');
  await esbuild({
    entryPoints: [join(tree, 'bench', 'sidecar.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    minifySyntax: true,
    minifyWhitespace: true,
    external: ['koffi'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return { name, file, nodeArgs };
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
