import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache-folder.ts';

const run = promisify(execFile);

/** ms for a build, its downloads included: on a slow machine grpc-go takes two minutes. */
const BUILD_MS = 600_000;

/** A program of other people's, or why it is not here. */
export type Tool = { readonly path: string } | { readonly missing: string };

/**
 * A program of a Go module, built with this machine's Go once and kept in the user's cache.
 * @param source package and version, `example.org/cmd/tool@v1.2.3`
 */
export async function goTool(source: string): Promise<Tool> {
  const [program = source] = source.split('@');
  const folder = join(cacheFolder(), source.replaceAll(/[^\w.-]/g, '_'));
  const path = join(folder, basename(program));
  if (existsSync(path)) return { path };
  try {
    mkdirSync(folder, { recursive: true });
    await run('go', ['install', source], { env: { ...process.env, GOBIN: folder }, timeout: BUILD_MS });
    return { path };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return { missing: `${basename(program)} is built with Go, which is not installed` };
    return { missing: `${source} cannot be built: ${message.trim().split('\n').at(-1)}` };
  }
}
