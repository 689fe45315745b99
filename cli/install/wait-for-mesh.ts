import type { Deployment, Pod } from '../../api/kubernetes-types.ts';
import { component, label, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { mark, type Output, step } from '../output.ts';
import { waitFor } from '../wait.ts';
import { applyObjects } from './apply.ts';
import { webhookOf } from './manifests.ts';
import type { InstallValues } from './values.ts';

/** Long enough to pull the image onto every node of a slow cluster. */
const COMPONENT_TIMEOUT_MS = 300_000;
/** Longer than a cluster that is well needs: whoever waits now wants to know for what. */
const TELL_AFTER_MS = 15_000;

/**
 * Waits until the control plane, then gateway and mirror controller are available, and the API server trusts the webhook's certificate; says what it waits for.
 * Only then a webhook that may stop pods gets its power.
 */
export async function waitForMesh(
  cluster: ClusterAccess,
  values: InstallValues,
  output: Output,
): Promise<void> {
  const { client } = cluster;
  const available = (name: string): Promise<void> =>
    asUser(cluster, () =>
      waitForDeployment(client, values.meshNamespace, name, COMPONENT_TIMEOUT_MS, output),
    );
  await step(output, 'control plane is available', () => available(component.controlPlane));
  await step(output, "webhook's certificate is trusted by the API server", () =>
    asUser(cluster, () => waitForCaBundle(client)),
  );
  if (values.webhook.failurePolicy === 'Fail') {
    await asUser(cluster, () => applyObjects(client, [webhookOf(values)]));
  }
  await step(output, 'gateway and mirror controller are available', async () => {
    await Promise.all([available(component.gateway), available(component.mirrorController)]);
  });
}

async function waitForCaBundle(client: KubernetesClient): Promise<void> {
  await waitFor(
    `MutatingWebhookConfiguration ${object.injectorWebhook} to have the certificate of its authority`,
    async () => {
      const { webhooks = [] } = await client.get(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      return webhooks.every(({ clientConfig }) => Boolean(clientConfig.caBundle));
    },
    { hint: 'The control plane writes it: see its logs.' },
  );
}

/**
 * Waits until every replica of a Deployment is of its newest revision and available. What is in the way is told to
 * `output` after a while, and by the error.
 */
export async function waitForDeployment(
  client: KubernetesClient,
  namespace: string,
  name: string,
  timeoutMs: number,
  output?: Output,
): Promise<void> {
  let why = '';
  let told = '';
  const started = performance.now();
  await waitFor(
    `Deployment ${namespace}/${name} to be available`,
    async () => {
      const deployment = await client.get(resources.deployments, namespace, name);
      if (isAvailable(deployment)) return true;
      why = await whatIsInTheWay(client, deployment);
      if (output !== undefined && why !== told && performance.now() - started > TELL_AFTER_MS) {
        told = why;
        output.err(`${mark('warning', output.interactive)} still waiting for ${name}: ${why}\n`);
      }
      return false;
    },
    {
      timeoutMs,
      hint: () => `${why}. See \`kubectl -n ${namespace} describe deployment ${name}\` and the pods' logs.`,
    },
  );
}

function isAvailable({ metadata, spec, status }: Deployment): boolean {
  const replicas = spec?.replicas ?? 1;
  return (
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0) &&
    status?.updatedReplicas === replicas &&
    (status.availableReplicas ?? 0) >= replicas &&
    (status.replicas ?? 0) === replicas
  );
}

/** In one line, for a person. */
async function whatIsInTheWay(
  client: KubernetesClient,
  { metadata, spec, status }: Deployment,
): Promise<string> {
  const replicas = spec?.replicas ?? 1;
  const counts = `${status?.availableReplicas ?? 0} of ${replicas} replicas available, ${status?.updatedReplicas ?? 0} of this version`;
  const failed = status?.conditions?.find((c) => c.type === 'ReplicaFailure' && c.status === 'True');
  if (failed !== undefined) return `${counts}; ${failed.message ?? failed.reason}`;
  const { items } = await client.list<Pod>(resources.pods, {
    namespace: metadata?.namespace ?? '',
    labelSelector: `${label.component}=${spec?.selector.matchLabels?.[label.component] ?? ''}`,
  });
  const reasons = new Set(items.flatMap((pod) => troubleOf(pod) ?? []));
  return [counts, ...reasons].join('; ');
}

function troubleOf({ metadata, status }: Pod): string | undefined {
  if (metadata?.deletionTimestamp !== undefined) return undefined;
  const unschedulable = status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False');
  if (unschedulable !== undefined) return `a pod has no node: ${unschedulable.message ?? ''}`;
  for (const { name, ready, state, lastState } of status?.containerStatuses ?? []) {
    if (ready) continue;
    const waiting = state?.waiting;
    if (
      waiting?.reason !== undefined &&
      waiting.reason !== 'ContainerCreating' &&
      waiting.reason !== 'PodInitializing'
    ) {
      return `container ${name}: ${waiting.reason}${waiting.message === undefined ? '' : `, ${waiting.message}`}`;
    }
    const ended = state?.terminated ?? lastState?.terminated;
    if (ended !== undefined) return `container ${name} ended with code ${ended.exitCode}`;
    if (state?.running !== undefined) return `container ${name} runs and is not ready yet`;
  }
  return undefined;
}
