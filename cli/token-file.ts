import { readFile } from 'node:fs/promises';
import { UserError } from './errors.ts';

/**
 * The token in a kubeconfig's `tokenFile`, read anew for each call, since whoever made the file renews it. As with
 * kubectl a file that can't be read for a moment leaves what was read last. Throws a UserError, naming the file, when
 * nothing was ever read.
 * @param path absolute
 */
export function tokenFromFile(path: string): () => Promise<string> {
  let last = '';
  return async () => {
    try {
      const token = (await readFile(path, 'utf8')).trim();
      if (token !== '') last = token;
    } catch (error) {
      if (last === '') throw unusable(path, error instanceof Error ? error.message : String(error));
    }
    if (last === '') throw unusable(path, 'it is empty');
    return last;
  };
}

function unusable(path: string, why: string): UserError {
  return new UserError(
    `the kubeconfig's tokenFile ${path} cannot be used: ${why}`,
    'Mend the `user` of that context.',
  );
}
