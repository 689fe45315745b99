import { customResourceDefinitions } from '../../cli/install/manifests.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../../kubernetes/types.ts';

/** Namespaces that a cluster has of itself; `local-path-storage` is kind's. */
const OF_ITSELF = new Set(['default', 'kube-node-lease', 'kube-public', 'kube-system', 'local-path-storage']);
/** Namespaces go one after the other, and a slow machine takes its time over those of a suite. Milliseconds. */
const GONE_WITHIN_MS = 180_000;
const LOOK_EVERY_MS = 250;

/** What tests make cluster-wide, by name. */
export interface ClusterSnapshot {
  namespaces: string[];
  definitions: string[];
  webhooks: string[];
}

export async function snapshot(client: KubernetesClient): Promise<ClusterSnapshot> {
  const names = async (resource: Resource): Promise<string[]> =>
    (await client.list(resource)).items.map(({ metadata }) => metadata?.name ?? '');
  return {
    namespaces: await names(resources.namespaces),
    definitions: await names(resources.customResourceDefinitions),
    webhooks: await names(resources.mutatingWebhookConfigurations),
  };
}

/** By what a cluster seems to be in use; undefined when it is empty. */
export function describeUse({ namespaces }: ClusterSnapshot): string | undefined {
  const others = namespaces.filter((name) => !OF_ITSELF.has(name));
  return others.length === 0 ? undefined : `it has namespace ${others.slice(0, 3).join(', ')}`;
}

/** Removes the kinds of the mesh where they were not there before. */
export async function removeMade(client: KubernetesClient, before: ClusterSnapshot): Promise<void> {
  for (const { metadata } of customResourceDefinitions()) {
    const name = metadata?.name ?? '';
    if (before.definitions.includes(name)) continue;
    try {
      await client.delete(resources.customResourceDefinitions, undefined, name);
    } catch (error) {
      if (!(error instanceof KubernetesError && error.code === 404)) throw error;
    }
  }
}

/** What is there now and was not before, once it had time to go. */
export async function leftOvers(client: KubernetesClient, before: ClusterSnapshot): Promise<string[]> {
  const deadline = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const now = await snapshot(client);
    const left = (['namespaces', 'definitions', 'webhooks'] as const).flatMap((kind) =>
      now[kind].filter((name) => !before[kind].includes(name)).map((name) => `${kind}/${name}`),
    );
    if (left.length === 0 || performance.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
