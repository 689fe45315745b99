import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, label, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { clearMirrors, removeMirrors } from '../link/mirrors.ts';
import { mark, type Output, step } from '../output.ts';
import { waitFor } from '../wait.ts';
import { deleteNamed, deleteObject } from './apply.ts';
import { readMeshNamespace } from './installation.ts';
import { customResourceDefinitions, isOurs, meshObjects } from './manifests.ts';
import { installValues } from './values.ts';

/** A namespace goes when its pods have: the gateway drains for up to a minute. */
const NAMESPACE_TIMEOUT_MS = 120_000;

/**
 * Removes the mesh: webhook first (so that pods are no longer changed), links with their mirrors, the components, then what they have left and what is
 * cluster-wide. Works when no component runs any more, and again when it was interrupted. The CRD of the standards (ClusterProperty) stays: others may use it;
 * the two properties that we set go.
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
    await step(output, `remove namespace ${meshNamespace}`, () => removeNamespace(cluster, meshNamespace));
    // Only now: the components, while they ran, would have made these again.
    await step(output, 'remove what is in other namespaces', async () => {
      await removeMirrors(cluster.client);
      await removeTrustRoots(cluster);
    });
    await step(output, 'remove what is cluster-wide', () => removeClusterWide(cluster, meshNamespace));
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

async function removeNamespace({ client }: ClusterAccess, name: string): Promise<void> {
  await deleteNamed(client, resources.namespaces, undefined, name);
  await waitFor(
    `namespace ${name} to go`,
    async () => {
      try {
        await client.get(resources.namespaces, undefined, name);
        return false;
      } catch (error) {
        if (error instanceof KubernetesError && error.code === 404) return true;
        throw error;
      }
    },
    {
      timeoutMs: NAMESPACE_TIMEOUT_MS,
      hint: `See what keeps it with \`kubectl get namespace ${name} -o yaml\`, then uninstall again.`,
    },
  );
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
async function removeClusterWide({ client }: ClusterAccess, meshNamespace: string): Promise<void> {
  const last = component.controlPlane;
  for (const crd of customResourceDefinitions().filter(isOurs)) await deleteObject(client, crd);
  for (const o of clusterWideObjects(meshNamespace)) {
    if (o.kind !== 'ClusterRoleBinding') await deleteObject(client, o);
  }
  // Also those of the accounts that linked clusters read with.
  const { items } = await client.list(resources.clusterRoleBindings, {
    labelSelector: `${label.managedBy}=isthmus,app.kubernetes.io/part-of=isthmus`,
  });
  const names = items.map(({ metadata }) => metadata?.name ?? '').filter((name) => name !== last);
  for (const name of [...names, last])
    await deleteNamed(client, resources.clusterRoleBindings, undefined, name);
}

function clusterWideObjects(meshNamespace: string): KubernetesObject[] {
  const nothing = { anchors: [], issuerCertificate: '', issuerKey: '' };
  return meshObjects(
    installValues({ clusterName: 'unnamed', meshNamespace }, { embedded: false }),
    nothing,
  ).filter(({ metadata, kind }) => metadata?.namespace === undefined && kind !== 'Namespace');
}

async function meshedPods({ client }: ClusterAccess, meshNamespace: string): Promise<number> {
  const { items } = await client.list(resources.pods, {
    labelSelector: `${label.controlPlaneNs}=${meshNamespace}`,
  });
  return items.length;
}
