import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where programs of other people's are kept from one run to the next. */
export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'isthmus-interop');
}
