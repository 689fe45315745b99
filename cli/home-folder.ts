import { homedir } from 'node:os';

/**
 * The user's home folder. A user id that the system does not know has none, unless `$HOME` says where: then `/`, which
 * container runtimes set it to. Without it not even the help would come. An empty `$HOME` would mean the folder that
 * one happens to be in.
 */
export function homeFolder(read: () => string = homedir): string {
  try {
    return read() || '/';
  } catch {
    return '/';
  }
}
