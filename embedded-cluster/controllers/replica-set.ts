import { isDeepStrictEqual } from 'node:util';
import type { Pod, ReplicaSet } from '../../api/kubernetes-types.ts';
import { referenceTo } from '../events.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { errorText, ignoring, keyOf, splitKey } from './controller.ts';
import { mapMatches } from '../labels.ts';
import { withoutZeros } from './deployment-status.ts';
import { claim, controllerReference, ownerKeys } from './owners.ts';
import { byDeletionOrder, isActive, isAvailable, isReady, readySince } from './pods.ts';
import { getAs } from '../typed-client.ts';

export const REPLICA_SETS = 'replicasets.apps';

/** Keeps as many pods as each ReplicaSet asks for. The store answers with what was just written, so no expectations have to be kept. */
export function replicaSets(context: ControllerContext): ControllerSpec {
  const { client, clock, events } = context;

  const scale = async (set: StoredObject & ReplicaSet, pods: readonly Pod[]): Promise<void> => {
    const difference = (set.spec?.replicas ?? 1) - pods.length;
    for (let i = 0; i < difference; i += 1) await createPod(context, set);
    const surplus = [...pods].sort(byDeletionOrder).slice(0, Math.max(0, -difference));
    for (const pod of surplus) {
      const { name = '', namespace } = pod.metadata ?? {};
      await ignoring(['NotFound'], () => client.delete('pods', namespace, name));
      events.record(
        referenceTo(set, { apiVersion: 'apps/v1', kind: 'ReplicaSet' }),
        'Normal',
        'SuccessfulDelete',
        `Deleted pod: ${name}`,
      );
    }
  };

  return {
    name: 'replica-sets',
    sources: [
      { resource: REPLICA_SETS, keys: (set) => [keyOf(set)] },
      { resource: 'pods', keys: ownerKeys('ReplicaSet') },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const set = getAs<ReplicaSet>(client, REPLICA_SETS, namespace, name);
      if (set === undefined) return undefined;
      const active = async (): Promise<Pod[]> =>
        ((await claim(client, 'pods', set, set.spec?.selector)) as Pod[]).filter(isActive);
      let failure: string | undefined;
      if (set.metadata.deletionTimestamp === undefined) {
        try {
          await scale(set, await active());
        } catch (error) {
          failure = errorText(error);
        }
      }
      const pods = await active();
      await writeStatus(context, set, pods, failure);
      if (failure !== undefined) throw new Error(failure);
      return nextAvailable(pods, set.spec?.minReadySeconds ?? 0, clock.now());
    },
  };
}

async function createPod(
  { client, events }: ControllerContext,
  set: StoredObject & ReplicaSet,
): Promise<void> {
  const { name = '', namespace = '' } = set.metadata;
  const template = set.spec?.template;
  const { labels = {}, annotations = {} } = template?.metadata ?? {};
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels,
      annotations,
      ownerReferences: [controllerReference(set)],
    },
    spec: template?.spec ?? { containers: [] },
  };
  const subject = referenceTo(set, { apiVersion: 'apps/v1', kind: 'ReplicaSet' });
  try {
    const created = await client.create('pods', pod);
    events.record(subject, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name ?? ''}`);
  } catch (error) {
    events.record(subject, 'Warning', 'FailedCreate', `Error creating: ${errorText(error)}`);
    throw error;
  }
}

async function writeStatus(
  { client, clock }: ControllerContext,
  set: StoredObject & ReplicaSet,
  pods: readonly Pod[],
  failure: string | undefined,
): Promise<void> {
  const { name = '', namespace = '' } = set.metadata;
  const live = getAs<ReplicaSet>(client, REPLICA_SETS, namespace, name);
  if (live === undefined) return;
  const now = clock.now();
  const labels = set.spec?.template?.metadata?.labels ?? {};
  const before = live.status?.conditions ?? [];
  const known = before.find((c) => c.type === 'ReplicaFailure');
  const others = before.filter((c) => c.type !== 'ReplicaFailure');
  const condition = {
    type: 'ReplicaFailure',
    status: 'True' as const,
    reason: 'FailedCreate',
    message: failure ?? '',
    lastTransitionTime: known?.lastTransitionTime ?? new Date(now).toISOString(),
  };
  const conditions = failure === undefined ? others : [...others, condition];
  const status: NonNullable<ReplicaSet['status']> = {
    replicas: pods.length,
    ...withoutZeros({
      fullyLabeledReplicas: pods.filter((pod) => mapMatches(labels, pod.metadata?.labels)).length,
      readyReplicas: pods.filter(isReady).length,
      availableReplicas: pods.filter((pod) => isAvailable(pod, set.spec?.minReadySeconds ?? 0, now)).length,
    }),
    observedGeneration: set.metadata.generation ?? 0,
    ...(conditions.length === 0 ? {} : { conditions }),
  };
  if (isDeepStrictEqual(status, { ...live.status })) return;
  await ignoring(['NotFound'], () =>
    client.update(REPLICA_SETS, { ...live, status } as ReplicaSet, { subresource: 'status' }),
  );
}

/** When the next ready pod has been ready for long enough to count as available. */
function nextAvailable(
  pods: readonly Pod[],
  minReadySeconds: number,
  now: number,
): { againAfterMs: number } | undefined {
  if (minReadySeconds === 0) return undefined;
  const waits = pods
    .map((pod) => readySince(pod))
    .filter((since) => since !== undefined)
    .map((since) => since + minReadySeconds * 1000 - now)
    .filter((wait) => wait > 0);
  return waits.length === 0 ? undefined : { againAfterMs: Math.min(...waits) };
}
