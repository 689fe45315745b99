import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient, Resource } from '../../kubernetes/types.ts';
import { deleteNamed } from './apply.ts';

/** Kinds that installations have been made of, apart from CRDs: with one of those the user's own objects would go. */
export const INSTALLED_KINDS: readonly Resource[] = [
  resources.mutatingWebhookConfigurations,
  resources.deployments,
  resources.podDisruptionBudgets,
  resources.services,
  resources.configMaps,
  resources.secrets,
  resources.roleBindings,
  resources.roles,
  resources.serviceAccounts,
  resources.clusterRoleBindings,
  resources.clusterRoles,
];

/** Removes what bears the mark of this mesh's installation and is none of `wanted`; answers what it was, as `Kind name`. */
export async function pruneInstallation(
  client: KubernetesClient,
  meshNamespace: string,
  wanted: readonly KubernetesObject[],
): Promise<string[]> {
  const names = new Set(wanted.map((o) => `${o.kind} ${o.metadata?.name}`));
  const removed: string[] = [];
  for (const resource of INSTALLED_KINDS) {
    const { items } = await client.list(resource, {
      labelSelector: `${label.installation}=${meshNamespace}`,
      ...(resource.namespaced ? { namespace: meshNamespace } : {}),
    });
    for (const { metadata } of items) {
      const name = metadata?.name ?? '';
      if (names.has(`${resource.kind} ${name}`)) continue;
      await deleteNamed(client, resource, metadata?.namespace, name);
      removed.push(`${resource.kind} ${name}`);
    }
  }
  return removed;
}
