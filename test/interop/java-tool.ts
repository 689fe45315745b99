import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache-folder.ts';

const run = promisify(execFile);

/** ms for Maven's own downloads and those of the libraries. */
const FETCH_MS = 300_000;

/** The folder with a program's libraries, or why it is not here. */
export type Libraries = { readonly folder: string } | { readonly missing: string };

/**
 * The libraries that a `pom.xml` names, fetched with this machine's Maven once and kept in the user's cache. The
 * program beside it is run by the JDK from its source.
 * @param pom path of the `pom.xml`
 * @param name of the folder in the cache: another one for other versions
 */
export async function javaLibraries(pom: string, name: string): Promise<Libraries> {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return { folder };
  // Whole or not there: the next run finds nothing half-fetched.
  const fetched = `${folder}.${process.pid}`;
  try {
    mkdirSync(fetched, { recursive: true });
    await run('javac', ['-version']);
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${fetched}`];
    await run('mvn', ['--batch-mode', '--quiet', '--file', pom, ...goal], { timeout: FETCH_MS });
    renameSync(fetched, folder);
    return { folder };
  } catch (error) {
    rmSync(fetched, { recursive: true, force: true });
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { missing: `${name} needs a JDK and Maven, which are not installed` };
    return { missing: `${name} cannot be fetched: ${message.trim().split('\n').at(-1)}` };
  }
}
