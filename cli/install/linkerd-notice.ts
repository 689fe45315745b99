import { annotation, LINKERD_WEBHOOK } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { mark, type Output } from '../output.ts';
import type { InstallValues } from './values.ts';

/** Says how the two share the cluster, where a Linkerd control plane injects pods there already. */
export async function tellOfLinkerd(
  cluster: ClusterAccess,
  { adoptLinkerd }: InstallValues,
  output: Output,
): Promise<void> {
  const { items } = await asUser(cluster, () =>
    cluster.client.list(resources.mutatingWebhookConfigurations, {
      fieldSelector: `metadata.name=${LINKERD_WEBHOOK}`,
    }),
  );
  if (items.length === 0) return;
  const rule = adoptLinkerd
    ? `pods that ask for a sidecar by ${annotation.linkerdInject} get it from whichever webhook is called first; take Linkerd's away to be sure`
    : `only ${annotation.inject} asks for our sidecar; --adopt-linkerd makes ${annotation.linkerdInject} count as well`;
  output.err(`${mark('warning', output.interactive)} a Linkerd control plane is in this cluster: ${rule}\n`);
}
