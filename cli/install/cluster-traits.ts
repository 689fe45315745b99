import type { ClusterAccess } from '../cluster-access.ts';
import type { ClusterTraits } from './values.ts';

/** In the version of an embedded cluster's API server. */
const EMBEDDED_SUFFIX = '+isthmus';

/** What kind of cluster it is, by its own word. */
export async function readClusterTraits({ client }: ClusterAccess): Promise<ClusterTraits> {
  const { gitVersion } = await client.raw<{ gitVersion: string }>('GET', '/version');
  return { embedded: gitVersion.includes(EMBEDDED_SUFFIX) };
}
