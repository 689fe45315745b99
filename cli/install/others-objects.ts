import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import { type KubernetesClient, KubernetesError } from '../../kubernetes/types.ts';
import { resourceFor } from '../discovery.ts';

/** Kinds of which the cluster may have had the object before the mesh came. */
const SHARED_KINDS: readonly (string | undefined)[] = ['Namespace', 'ClusterProperty'];

/**
 * What of an installation is to be applied where others were first: their namespace gets what the mesh needs but not
 * the mark of the installation, so that an uninstall keeps it; their cluster properties stay as they are.
 */
export async function sparingOthers(
  client: KubernetesClient,
  objects: readonly KubernetesObject[],
): Promise<KubernetesObject[]> {
  const spared = await Promise.all(
    objects.map(async (o) => {
      if (!SHARED_KINDS.includes(o.kind)) return [o];
      const live = await find(client, o);
      if (live === undefined || isMarked(live)) return [o];
      return o.kind === 'Namespace' ? [withoutMark(o)] : [];
    }),
  );
  return spared.flat();
}

/** Whether an installation made this object. */
export function isMarked({ metadata }: KubernetesObject): boolean {
  return metadata?.labels?.[label.installation] !== undefined;
}

function withoutMark(o: KubernetesObject): KubernetesObject {
  const { [label.installation]: _, ...labels } = o.metadata?.labels ?? {};
  return { ...o, metadata: { ...o.metadata, labels } };
}

/** The object as it is in the cluster; undefined when it is not there. */
export async function find(
  client: KubernetesClient,
  o: KubernetesObject,
): Promise<KubernetesObject | undefined> {
  try {
    return await client.get(await resourceFor(client, o), o.metadata?.namespace, o.metadata?.name ?? '');
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}
