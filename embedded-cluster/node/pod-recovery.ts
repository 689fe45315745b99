import type { ContainerStatus, Pod } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';
import { listAs } from '../typed-client.ts';
import type { NodeContext } from './node-context.ts';
import type { PodOutcome } from './pod-status.ts';

/**
 * How a pod had ended before this agent came up: what its status says; for one that may not be restarted also that its containers ran, since what was
 * left of them has been killed; for one that is restarted on failure that all its work was done.
 */
export function endBeforeStart(pod: Pod): PodOutcome | undefined {
  const { phase, containerStatuses = [], reason, message } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed')
    return {
      phase,
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    };
  const policy = pod.spec?.restartPolicy ?? 'Always';
  const well = containerStatuses.length > 0 && containerStatuses.every(succeeded);
  if (policy === 'OnFailure') return well ? { phase: 'Succeeded' } : undefined;
  const ran = containerStatuses.some(
    (c) => c.state?.running !== undefined || c.state?.terminated !== undefined,
  );
  if (policy !== 'Never' || !ran) return undefined;
  return { phase: well ? 'Succeeded' : 'Failed' };
}

/** Whether a main container had done its work before this agent came up, and does not run again (kubelet: with restartPolicy OnFailure). */
export function hasSucceeded(pod: Pod, previous: ContainerStatus | undefined): boolean {
  return pod.spec?.restartPolicy === 'OnFailure' && previous !== undefined && succeeded(previous);
}

/**
 * Shows the node's pods as not ready: what ran of them has been killed. To be called before anybody can read their status. A pod whose status can't be
 * written is told in the log, and shown right by its worker's first report.
 */
export async function showNotReady(
  node: Pick<NodeContext, 'client' | 'clock' | 'logger' | 'nodeName'>,
): Promise<void> {
  const pods = listAs<Pod>(node.client, 'pods', { fieldSelector: `spec.nodeName=${node.nodeName}` });
  for (const pod of pods) {
    const { status } = pod;
    if (status === undefined || !showsReady(status)) continue;
    try {
      const next: Pod = { ...pod, status: notReady(status, node.clock.now()) };
      await node.client.update('pods', next, { subresource: 'status' });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      node.logger.warn({ pod: pod.metadata.name, error: text }, 'pod could not be shown as not ready');
    }
  }
}

type PodStatus = NonNullable<Pod['status']>;

function showsReady(status: PodStatus): boolean {
  return (
    status.conditions?.some((c) => READY_TYPES.has(c.type) && c.status === 'True') === true ||
    [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].some(isServing)
  );
}

const READY_TYPES = new Set(['Ready', 'ContainersReady']);

/** States stay: from them the worker sees what had been running. */
function notReady(status: PodStatus, now: number): PodStatus {
  const stopped = (containers: ContainerStatus[]): ContainerStatus[] =>
    containers.map((c) => (isServing(c) ? { ...c, ready: false, started: false } : c));
  const names = (status.containerStatuses ?? []).map((c) => c.name).join(' ');
  const { initContainerStatuses: init } = status;
  return {
    ...status,
    conditions: (status.conditions ?? []).map((condition) =>
      READY_TYPES.has(condition.type) && condition.status === 'True'
        ? {
            ...condition,
            status: 'False',
            reason: 'ContainersNotReady',
            message: `containers with unready status: [${names}]`,
            lastTransitionTime: metaTime(now),
          }
        : condition,
    ),
    containerStatuses: stopped(status.containerStatuses ?? []),
    ...(init === undefined ? {} : { initContainerStatuses: stopped(init) }),
  };
}

function isServing(container: ContainerStatus): boolean {
  return container.state?.running !== undefined && (container.ready || container.started === true);
}

function succeeded(container: ContainerStatus): boolean {
  return container.state?.terminated?.exitCode === 0;
}
