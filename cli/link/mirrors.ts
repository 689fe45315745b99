import type { KubernetesObject, Service } from '../../api/kubernetes-types.ts';
import { component, label } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient, Resource } from '../../kubernetes/types.ts';
import { UserError } from '../errors.ts';
import { deleteNamed } from '../install/apply.ts';
import { waitFor } from '../wait.ts';

/** The mirror controller removes the mirrors of a link that is gone at once; when it has not by then, it is not running. */
const CONTROLLER_TIMEOUT_MS = 10_000;

/** Services that our mirror controller has made for a target (undefined: for any). Those of other programs are theirs. */
export async function listMirrors(client: KubernetesClient, targetId?: string): Promise<Service[]> {
  return (await client.list(resources.services, { labelSelector: selector(targetId) })).items;
}

/** To be called when the Link is gone: lets the mirror controller remove the mirrors, or removes them where it does not. */
export async function clearMirrors(client: KubernetesClient, targetId?: string): Promise<void> {
  try {
    await waitFor('mirrors to go', async () => (await listMirrors(client, targetId)).length === 0, {
      timeoutMs: CONTROLLER_TIMEOUT_MS,
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await removeMirrors(client, targetId);
  }
}

/** Removes mirrors and their EndpointSlices. The mirror controller would make them again as long as their Link is there. */
export async function removeMirrors(client: KubernetesClient, targetId?: string): Promise<void> {
  await removeAll(client, resources.endpointSlices, targetId);
  await removeAll(client, resources.services, targetId);
}

async function removeAll<T extends KubernetesObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  targetId: string | undefined,
): Promise<void> {
  const { items } = await client.list(resource, { labelSelector: selector(targetId) });
  for (const { metadata } of items) {
    await deleteNamed(client, resource, metadata?.namespace, metadata?.name ?? '');
  }
}

function selector(targetId: string | undefined): string {
  const ours = `${label.mirroredService}=true,${label.managedBy}=${component.mirrorController}`;
  return targetId === undefined ? ours : `${ours},${label.mirrorCluster}=${targetId}`;
}
