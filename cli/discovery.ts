import type { KubernetesObject } from '../api/kubernetes-types.ts';
import { resources } from '../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../kubernetes/types.ts';
import { UserError } from './errors.ts';

interface ServedKind {
  /** Its plural; with a slash the name of a subresource. */
  name: string;
  kind: string;
  namespaced: boolean;
}

const known: ReadonlyMap<string, Resource> = new Map(
  Object.values(resources).map((resource) => [`${groupVersion(resource)}/${resource.kind}`, resource]),
);

function groupVersion({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The resource that serves an object: from what we know, or from the server's discovery. Throws a UserError for a kind that is not served. */
export async function resourceFor(client: KubernetesClient, object: KubernetesObject): Promise<Resource> {
  const { apiVersion = '', kind = '' } = object;
  const found = known.get(`${apiVersion}/${kind}`);
  if (found !== undefined) return found;
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const path = group === '' ? `/api/${version}` : `/apis/${apiVersion}`;
  const kinds = await servedKinds(client, path);
  const served = kinds.find((resource) => resource.kind === kind && !resource.name.includes('/'));
  if (served === undefined) {
    throw new UserError(
      `kind ${kind} of ${apiVersion} is not served by the cluster`,
      'Is its CustomResourceDefinition installed?',
    );
  }
  return {
    group: group ?? '',
    version: version ?? '',
    plural: served.name,
    kind,
    namespaced: served.namespaced,
  };
}

/** What discovery names of a group and version, by its path in the API; nothing of one that is not served. */
export async function servedKinds(client: KubernetesClient, path: string): Promise<ServedKind[]> {
  try {
    return (await client.raw<{ resources?: ServedKind[] }>('GET', path)).resources ?? [];
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return [];
    throw error;
  }
}
