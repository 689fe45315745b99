import type { KubernetesObject, Pod } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';
import { referenceTo } from '../events.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf, splitKey } from './controller.ts';
import { mapMatches } from '../labels.ts';

/** A pod that fits nowhere is looked at again when a node changes, and after this at the latest. */
const RETRY_MS = 30_000;

interface NodeObject extends KubernetesObject {
  spec?: { unschedulable?: boolean };
}

/** Binds pods to the cluster's one node, where their nodeSelector and the node's own state allow it. */
export function scheduler(context: ControllerContext): ControllerSpec {
  const { client, clock, events } = context;

  const unbound = (): string[] =>
    client
      .list('pods')
      .items.filter((pod) => (pod as Pod).spec?.nodeName === undefined)
      .map(keyOf);

  const refuse = async (pod: Pod, message: string): Promise<void> => {
    const { name = '', namespace } = pod.metadata ?? {};
    events.record(referenceTo(pod, POD), 'Warning', 'FailedScheduling', message);
    const others = (pod.status?.conditions ?? []).filter((c) => c.type !== 'PodScheduled');
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastProbeTime: null,
      lastTransitionTime: metaTime(clock.now()),
    };
    const status = { phase: 'Pending', conditions: [...others, condition] };
    await client.patch('pods', namespace, name, { status }, { subresource: 'status' });
  };

  return {
    name: 'scheduler',
    sources: [
      { resource: 'pods', keys: (pod) => ((pod as Pod).spec?.nodeName === undefined ? [keyOf(pod)] : []) },
      { resource: 'nodes', keys: unbound },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const pod = client.get('pods', namespace, name) as Pod | undefined;
      if (
        pod === undefined ||
        pod.spec?.nodeName !== undefined ||
        isEnding(pod) ||
        isGated(pod) ||
        !isOurs(pod)
      )
        return undefined;
      const nodes = client.list('nodes').items as NodeObject[];
      const reasons = nodes.map((node) => unfit(node, pod.spec?.nodeSelector ?? {}));
      const fits = nodes[reasons.indexOf(undefined)];
      if (fits === undefined) {
        const why = nodes.length === 0 ? 'no nodes available to schedule pods' : summary(reasons);
        if (scheduledMessage(pod) !== why) await refuse(pod, why);
        return { againAfterMs: RETRY_MS };
      }
      const target = fits.metadata?.name ?? '';
      const binding = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, ...(pod.metadata?.uid === undefined ? {} : { uid: pod.metadata.uid }) },
        target: { kind: 'Node', name: target },
      };
      await ignoring(['NotFound', 'Conflict'], () =>
        client.create('pods', binding, { subresource: 'binding' }),
      );
      events.record(
        referenceTo(pod, POD),
        'Normal',
        'Scheduled',
        `Successfully assigned ${key} to ${target}`,
      );
      return undefined;
    },
  };
}

const DEFAULT_SCHEDULER = 'default-scheduler';
const POD = { apiVersion: 'v1', kind: 'Pod' };

function isEnding(pod: Pod): boolean {
  return pod.metadata?.deletionTimestamp !== undefined;
}

/** A pod may ask for a scheduler of another name, which then has to be somebody's. */
function isOurs(pod: Pod): boolean {
  const { schedulerName = DEFAULT_SCHEDULER } = (pod.spec ?? {}) as { schedulerName?: string };
  return schedulerName === DEFAULT_SCHEDULER;
}

function isGated(pod: Pod): boolean {
  const { schedulingGates = [] } = (pod.spec ?? {}) as { schedulingGates?: unknown[] };
  return schedulingGates.length > 0;
}

/** Why a pod can't go to a node, in the scheduler's words; undefined when it can. */
function unfit(node: NodeObject, nodeSelector: Record<string, string>): string | undefined {
  if (node.spec?.unschedulable === true) return 'node(s) were unschedulable';
  if (!mapMatches(nodeSelector, node.metadata?.labels))
    return "node(s) didn't match Pod's node affinity/selector";
  return undefined;
}

function summary(reasons: readonly (string | undefined)[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) if (reason !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const list = [...counts].map(([reason, count]) => `${count} ${reason}`).join(', ');
  return `0/${reasons.length} nodes are available: ${list}.`;
}

function scheduledMessage(pod: Pod): string | undefined {
  return pod.status?.conditions?.find((c) => c.type === 'PodScheduled')?.message;
}
