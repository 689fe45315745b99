import type { KubernetesObject, Service } from '../../api/kubernetes-types.ts';
import { component, label } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient, Resource } from '../../kubernetes/types.ts';
import { UserError } from '../errors.ts';
import { deleteNamed } from '../install/apply.ts';
import { waitFor } from '../wait.ts';

/** The mirror controller removes the mirrors of a link that is gone at once; when it has not by then, it is not running. */
const CONTROLLER_TIMEOUT_MS = 10_000;
/** What a mirror is made of, in the order in which it is removed. */
const MIRRORED: readonly Resource[] = [resources.endpointSlices, resources.services];

/** Services that our mirror controller has made for a target (undefined: for any). Those of other programs are theirs. */
export function listMirrors(client: KubernetesClient, targetId?: string): Promise<Service[]> {
  return listMirrored(client, resources.services, targetId);
}

/** To be called when the Link is gone: lets the mirror controller remove the mirrors with their EndpointSlices, or removes them where it does not. */
export async function clearMirrors(client: KubernetesClient, targetId?: string): Promise<void> {
  const areGone = async (): Promise<boolean> => {
    const lists = await Promise.all(MIRRORED.map((resource) => listMirrored(client, resource, targetId)));
    return lists.every((items) => items.length === 0);
  };
  try {
    await waitFor('mirrors to go', areGone, { timeoutMs: CONTROLLER_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await removeMirrors(client, targetId);
  }
}

/** Removes mirrors and their EndpointSlices. The mirror controller would make them again as long as their Link is there. */
export async function removeMirrors(client: KubernetesClient, targetId?: string): Promise<void> {
  for (const resource of MIRRORED) {
    for (const { metadata } of await listMirrored(client, resource, targetId))
      await deleteNamed(client, resource, metadata?.namespace, metadata?.name ?? '');
  }
}

async function listMirrored<T extends KubernetesObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  targetId: string | undefined,
): Promise<T[]> {
  return (await client.list(resource, { labelSelector: selector(targetId) })).items;
}

function selector(targetId: string | undefined): string {
  const ours = `${label.mirroredService}=true,${label.managedBy}=${component.mirrorController}`;
  return targetId === undefined ? ours : `${ours},${label.mirrorCluster}=${targetId}`;
}
