import type { KubernetesObject, MutatingWebhookConfiguration } from '../../api/kubernetes-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { type Output, step } from '../output.ts';
import { applyCustomResourceDefinitions, applyObjects, departed } from './apply.ts';
import { customResourceDefinitions, type Installation, meshObjects } from './manifests.ts';
import { find, sparingOthers } from './others-objects.ts';
import { pruneInstallation } from './prune.ts';

/** Brings a cluster to what an installation is made of, and removes what a former one had and this one has not. Twice changes nothing. */
export async function bringInstallation(
  cluster: ClusterAccess,
  installation: Installation,
  output: Output,
): Promise<void> {
  const { client } = cluster;
  const { meshNamespace } = installation.values;
  const objects = meshObjects(installation);
  await asUser(cluster, async () => {
    await step(output, 'custom resource definitions', () =>
      applyCustomResourceDefinitions(client, customResourceDefinitions()),
    );
    await step(output, `objects in namespace ${meshNamespace}`, async () => {
      await departed(client, resources.namespaces, meshNamespace);
      const gentle = await Promise.all(objects.map((o) => harmlessAtFirst(cluster, o)));
      await applyObjects(client, await sparingOthers(client, gentle));
    });
    const removed = await pruneInstallation(client, meshNamespace, objects);
    if (removed.length > 0) output.err(`  removed what this version has no more: ${removed.join(', ')}\n`);
  });
}

/** A webhook that nobody answers yet must stop no pod: where it is new it only asks, until the mesh has come up. */
async function harmlessAtFirst({ client }: ClusterAccess, o: KubernetesObject): Promise<KubernetesObject> {
  if (!isWebhook(o) || (await find(client, o)) !== undefined) return o;
  const gentle: MutatingWebhookConfiguration = {
    ...o,
    webhooks: (o.webhooks ?? []).map((w) => ({ ...w, failurePolicy: 'Ignore' })),
  };
  return gentle;
}

function isWebhook(o: KubernetesObject): o is MutatingWebhookConfiguration {
  return o.kind === 'MutatingWebhookConfiguration';
}
