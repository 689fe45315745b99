import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from './errors.ts';

/**
 * Makes a folder with its parents; answers the first one that was made, undefined when all were there. Throws a UserError that names the folder.
 * `mkdir({ recursive: true })` is not used: below a file system that answers ENOENT to every mkdir (such as /proc) it tries for ever.
 */
export async function makeFolder(path: string, mode = 0o777): Promise<string | undefined> {
  try {
    return await make(path, mode);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(`folder ${path} cannot be made: ${why}`, 'Name one that you may write to.', {
      cause: error,
    });
  }
}

async function make(path: string, mode: number): Promise<string | undefined> {
  const code = await attempt(path, mode);
  if (code === 'made') return path;
  if (code === 'there') return undefined;
  const parent = dirname(path);
  const first = parent === path ? undefined : await make(parent, mode);
  try {
    await mkdir(path, mode);
  } catch (error) {
    // Somebody else makes the same one.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return first;
  }
  return first ?? path;
}

async function attempt(path: string, mode: number): Promise<'made' | 'there' | 'no parent'> {
  try {
    await mkdir(path, mode);
    return 'made';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return 'there';
    if (code === 'ENOENT') return 'no parent';
    throw error;
  }
}
