import { label } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type Output, step } from '../output.ts';
import { waitFor } from '../wait.ts';
import { deleteNamed, deleteObject } from './apply.ts';
import { readInstallation } from './installation.ts';
import { customResourceDefinitions, isOurs, meshObjects } from './manifests.ts';

/** A namespace goes when its pods have: the gateway drains for up to a minute. */
const NAMESPACE_TIMEOUT_MS = 120_000;

/**
 * Removes the mesh: webhook first (so that pods are no longer changed), links with their mirrors, then everything else of ours. The kinds of the standards
 * (ClusterProperty) and their CRDs stay: others may use them; the two properties that we set go.
 */
export async function uninstall(
  cluster: ClusterAccess,
  meshNamespace: string,
  output: Output,
): Promise<void> {
  const { client } = cluster;
  const values = await readInstallation(cluster, meshNamespace);
  if (values === undefined) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has no mesh in namespace "${meshNamespace}"`,
      'Name another with --isthmus-namespace, if it was installed in another one.',
    );
  }
  const objects = meshObjects(values, { anchors: [], issuerCertificate: '', issuerKey: '' });
  const webhooks = objects.filter((object) => object.kind === 'MutatingWebhookConfiguration');
  const clusterWide = objects.filter(
    (object) => object.metadata?.namespace === undefined && object.kind !== 'Namespace',
  );
  await asUser(cluster, async () => {
    for (const webhook of webhooks) await deleteObject(client, webhook);
    await step(output, 'remove links and their mirrors', () => removeLinks(cluster, meshNamespace));
    await step(output, 'remove trust roots from the namespaces', () => removeTrustRoots(cluster));
    await step(output, `remove namespace ${meshNamespace}`, () => removeNamespace(cluster, meshNamespace));
    await step(output, 'remove what is cluster-wide', async () => {
      for (const object of clusterWide.toReversed()) await deleteObject(client, object);
      for (const crd of customResourceDefinitions().filter(isOurs)) await deleteObject(client, crd);
    });
  });
  const meshed = await meshedPods(cluster, meshNamespace);
  if (meshed > 0) {
    output.err(`‼ ${meshed} pods still run a sidecar: restart their workloads to be rid of it\n`);
  }
}

async function removeLinks({ client }: ClusterAccess, namespace: string): Promise<void> {
  const { items } = await client.list(resources.links, { namespace });
  for (const link of items) {
    await deleteNamed(client, resources.links, namespace, link.metadata?.name ?? '');
  }
  await waitFor(
    'links to go',
    async () => (await client.list(resources.links, { namespace })).items.length === 0,
    { hint: 'Is the mirror controller running? It removes the mirrors of a link before the link goes.' },
  );
}

async function removeTrustRoots({ client }: ClusterAccess): Promise<void> {
  const { items } = await client.list(resources.configMaps, { labelSelector: `${label.managedBy}=isthmus` });
  for (const { metadata } of items) {
    await deleteNamed(client, resources.configMaps, metadata?.namespace, metadata?.name ?? '');
  }
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
    { timeoutMs: NAMESPACE_TIMEOUT_MS, hint: `See \`kubectl get namespace ${name} -o yaml\`.` },
  );
}

async function meshedPods({ client }: ClusterAccess, meshNamespace: string): Promise<number> {
  const { items } = await client.list(resources.pods, {
    labelSelector: `${label.controlPlaneNs}=${meshNamespace}`,
  });
  return items.length;
}
