import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, FIELD_MANAGER, label, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError, type Resource } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { clearMirrors, removeMirrors } from '../link/mirrors.ts';
import { mark, type Output, step } from '../output.ts';
import { waitFor } from '../wait.ts';
import { deleteNamed, deleteObject, departed } from './apply.ts';
import { readMeshNamespace } from './installation.ts';
import { customResourceDefinitions, isOurs } from './manifests.ts';
import { find, isMarked } from './others-objects.ts';
import { INSTALLED_KINDS } from './prune.ts';

/** Pods go first: the gateway drains for up to a minute. */
const GOING_TIMEOUT_MS = 120_000;

/** On all that we made, also on what links have made. */
const OURS = `${label.managedBy}=isthmus,${label.partOf}=isthmus`;

/**
 * Removes the mesh: webhook first (so that pods are no longer changed), links with their mirrors, the components, then
 * what they have left and what is cluster-wide. Works when no component runs any more, and again when it was
 * interrupted. What others made stays: the CRD of the standards (ClusterProperty), cluster properties and a mesh
 * namespace that were there before the mesh.
 */
export async function uninstall(
  cluster: ClusterAccess,
  meshNamespace: string,
  output: Output,
): Promise<void> {
  await requireMesh(cluster, meshNamespace);
  await asUser(cluster, async () => {
    await step(output, 'remove the webhook', () =>
      deleteNamed(cluster.client, resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook),
    );
    await step(output, 'remove links and their mirrors', () => removeLinks(cluster, meshNamespace));
    await step(output, `remove the components in namespace ${meshNamespace}`, () =>
      removeComponents(cluster, meshNamespace),
    );
    // Only now: the components, while they ran, would have made these again.
    await step(output, 'remove what is in other namespaces', async () => {
      await removeMirrors(cluster.client);
      await removeTrustRoots(cluster);
    });
    await step(output, 'remove what is cluster-wide', () => removeClusterWide(cluster));
  });
  const meshed = await meshedPods(cluster, meshNamespace);
  if (meshed > 0) {
    output.err(
      `${mark('warning', output.interactive)} ${meshed} pods still run a sidecar: restart their workloads to be rid of it\n`,
    );
  }
}

/** Throws a UserError where no mesh is in that namespace. A mesh that is half removed counts. */
async function requireMesh(cluster: ClusterAccess, meshNamespace: string): Promise<void> {
  const namespace = await readMeshNamespace(cluster);
  if (namespace === meshNamespace) return;
  throw new UserError(
    `the cluster of context "${cluster.context}" has no mesh in namespace "${meshNamespace}"`,
    namespace === undefined
      ? 'There is nothing to remove.'
      : `It is in namespace "${namespace}": name it with --isthmus-namespace.`,
  );
}

async function removeLinks({ client }: ClusterAccess, namespace: string): Promise<void> {
  try {
    const { items } = await client.list(resources.links, { namespace });
    for (const link of items) {
      await deleteNamed(client, resources.links, namespace, link.metadata?.name ?? '');
    }
  } catch (error) {
    // Without the kind there are no links.
    if (!(error instanceof KubernetesError && error.code === 404)) throw error;
  }
  await clearMirrors(client);
}

/** With their namespace, where the installation made it; in a namespace of others only what is ours. */
async function removeComponents(cluster: ClusterAccess, meshNamespace: string): Promise<void> {
  const namespace: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: meshNamespace },
  };
  const live = await find(cluster.client, namespace);
  if (live === undefined) return;
  if (isMarked(live)) await removeNamespace(cluster, meshNamespace);
  else await clearNamespace(cluster, namespace);
}

async function removeNamespace({ client }: ClusterAccess, name: string): Promise<void> {
  await deleteNamed(client, resources.namespaces, undefined, name);
  await departed(client, resources.namespaces, name);
}

async function clearNamespace({ client }: ClusterAccess, namespace: KubernetesObject): Promise<void> {
  const name = namespace.metadata?.name ?? '';
  await removeLabelled(
    client,
    INSTALLED_KINDS.filter((resource) => resource.namespaced),
    name,
  );
  await waitFor(
    `the components' pods in namespace ${name} to end`,
    async () => {
      const { items } = await client.list(resources.pods, {
        namespace: name,
        labelSelector: OURS,
      });
      return items.length === 0;
    },
    { timeoutMs: GOING_TIMEOUT_MS, hint: `See \`kubectl -n ${name} get pods\`, then uninstall again.` },
  );
  // What the components made, and would have made again.
  await removeLabelled(client, [resources.secrets, resources.leases, resources.configMaps], name);
  // Nothing but the name: the labels that the mesh needed there go.
  await client.apply(resources.namespaces, namespace, { fieldManager: FIELD_MANAGER, force: true });
}

async function removeLabelled(
  client: ClusterAccess['client'],
  kinds: readonly Resource[],
  namespace: string | undefined,
  spared?: string,
): Promise<void> {
  for (const resource of kinds) {
    const { items } = await client.list(resource, {
      labelSelector: OURS,
      ...(namespace === undefined ? {} : { namespace }),
    });
    for (const { metadata } of items) {
      if (metadata?.name !== spared)
        await deleteNamed(client, resource, metadata?.namespace, metadata?.name ?? '');
    }
  }
}

/** The copies that the control plane keeps in namespaces with meshed pods. */
async function removeTrustRoots({ client }: ClusterAccess): Promise<void> {
  const name = object.trustRootsConfigMap;
  const { items } = await client.list(resources.configMaps, { fieldSelector: `metadata.name=${name}` });
  for (const { metadata } of items) {
    if (metadata?.labels?.[label.managedBy] === undefined) continue;
    await deleteNamed(client, resources.configMaps, metadata.namespace, name);
  }
}

/** The control plane's binding goes last: it says that something is left, and in which namespace the mesh was. */
async function removeClusterWide({ client }: ClusterAccess): Promise<void> {
  const last = component.controlPlane;
  await removeClusterProperties(client);
  const ours = customResourceDefinitions().filter(isOurs);
  for (const crd of ours) await deleteObject(client, crd);
  for (const { metadata } of ours)
    await departed(client, resources.customResourceDefinitions, metadata?.name ?? '');
  // Also the bindings of the accounts that linked clusters read with.
  await removeLabelled(client, [resources.clusterRoles], undefined);
  await removeLabelled(client, [resources.clusterRoleBindings], undefined, last);
  await deleteNamed(client, resources.clusterRoleBindings, undefined, last);
}

/** Those that the installation set; without the kind there are none. */
async function removeClusterProperties(client: ClusterAccess['client']): Promise<void> {
  try {
    const { items } = await client.list(resources.clusterProperties, { labelSelector: label.installation });
    for (const { metadata } of items)
      await deleteNamed(client, resources.clusterProperties, undefined, metadata?.name ?? '');
  } catch (error) {
    if (!(error instanceof KubernetesError && error.code === 404)) throw error;
  }
}

async function meshedPods({ client }: ClusterAccess, meshNamespace: string): Promise<number> {
  const { items } = await client.list(resources.pods, {
    labelSelector: `${label.controlPlaneNs}=${meshNamespace}`,
  });
  return items.length;
}
