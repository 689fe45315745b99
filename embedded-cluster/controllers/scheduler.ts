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

const DEFAULT_SCHEDULER = 'default-scheduler';
const POD = { apiVersion: 'v1', kind: 'Pod' };

/** Binds pods to the cluster's one node, where their nodeSelector and the node's own state allow it. */
export function scheduler(context: ControllerContext): ControllerSpec {
  const { client } = context;
  return {
    name: 'scheduler',
    sources: [
      { resource: 'pods', keys: (pod) => (isBound(pod) ? [] : [keyOf(pod)]) },
      {
        resource: 'nodes',
        keys: () =>
          client
            .list('pods')
            .items.filter((pod) => !isBound(pod))
            .map(keyOf),
      },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const pod = client.get('pods', namespace, name) as Pod | undefined;
      if (pod === undefined || isBound(pod) || isEnding(pod) || isGated(pod) || !isOurs(pod))
        return undefined;
      const nodes = client.list('nodes').items as NodeObject[];
      const reasons = nodes.map((node) => unfit(node, pod.spec?.nodeSelector ?? {}));
      const fits = nodes[reasons.indexOf(undefined)];
      if (fits !== undefined) {
        await bind(context, pod, fits.metadata?.name ?? '');
        return undefined;
      }
      const why = nodes.length === 0 ? 'no nodes available to schedule pods' : summary(reasons);
      if (scheduledMessage(pod) !== why) await refuse(context, pod, why);
      return { againAfterMs: RETRY_MS };
    },
  };
}

async function bind({ client, events }: ControllerContext, pod: Pod, node: string): Promise<void> {
  const { name = '', namespace = '', uid } = pod.metadata ?? {};
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, ...(uid === undefined ? {} : { uid }) },
    target: { kind: 'Node', name: node },
  };
  await ignoring(['NotFound', 'Conflict'], () => client.create('pods', binding, { subresource: 'binding' }));
  const message = `Successfully assigned ${namespace}/${name} to ${node}`;
  events.record(referenceTo(pod, POD), 'Normal', 'Scheduled', message);
}

/** Tells that the pod fits nowhere, as an event and a condition. */
async function refuse(
  { client, clock, events }: ControllerContext,
  pod: Pod,
  message: string,
): Promise<void> {
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
}

function isBound(pod: KubernetesObject): boolean {
  return (pod as Pod).spec?.nodeName !== undefined;
}

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
