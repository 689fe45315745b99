import { isDeepStrictEqual } from 'node:util';
import type { Condition, KubernetesObject, LabelSelector, Pod } from '../../api/kubernetes-types.ts';
import { getAs } from '../typed-client.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import { type ControllerContext, type ControllerSpec, ignoring, keyOf, splitKey } from './controller.ts';
import { selectorMatches } from '../labels.ts';
import { controllerOf } from './owners.ts';
import { isReady } from './pods.ts';

const BUDGETS = 'poddisruptionbudgets.policy';
/** How long an evicted pod is taken for going before it is counted again: its deletion may have been refused (kube-controller-manager's DeletionTimeout). */
const DELETION_TIMEOUT_MS = 120_000;

interface PodDisruptionBudget extends KubernetesObject {
  spec?: {
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    selector?: LabelSelector;
  };
  status?: BudgetStatus;
}

interface BudgetStatus {
  observedGeneration?: number;
  disruptedPods?: Record<string, string>;
  disruptionsAllowed: number;
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
  conditions?: Condition[];
}

/** Keeps the status of PodDisruptionBudgets, by which evictions are judged. */
export function disruption(context: ControllerContext): ControllerSpec {
  const { client, clock } = context;
  return {
    name: 'disruption',
    sources: [
      { resource: BUDGETS, keys: (budget) => [keyOf(budget)] },
      {
        resource: 'pods',
        keys: ({ metadata: { namespace = '' } }) =>
          client.list(BUDGETS, { namespace }).items.map((budget) => keyOf(budget)),
      },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const budget = getAs<PodDisruptionBudget>(client, BUDGETS, namespace, name);
      if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return undefined;
      const pods = guarded(client, budget);
      const disruptedPods = stillGoing(budget.status?.disruptedPods ?? {}, pods, clock.now());
      const healthy = pods.filter(
        (pod) =>
          isReady(pod) &&
          pod.metadata.deletionTimestamp === undefined &&
          disruptedPods[pod.metadata.name ?? ''] === undefined,
      );
      const status = statusOf(
        budget,
        expectation(client, budget, pods),
        healthy.length,
        disruptedPods,
        clock.now(),
      );
      if (!isDeepStrictEqual(status, budget.status)) {
        await ignoring(['NotFound'], () =>
          client.update(BUDGETS, { ...budget, status } as StoredObject, { subresource: 'status' }),
        );
      }
      return Object.keys(disruptedPods).length === 0 ? undefined : { againAfterMs: DELETION_TIMEOUT_MS };
    },
  };
}

/** The pods that a budget selects and that have not ended. */
function guarded(client: LoopbackClient, budget: StoredObject & PodDisruptionBudget): (StoredObject & Pod)[] {
  const { namespace = '' } = budget.metadata;
  return (client.list('pods', { namespace }).items as (StoredObject & Pod)[]).filter(
    ({ metadata, status }) =>
      selectorMatches(budget.spec?.selector, metadata.labels) &&
      status?.phase !== 'Succeeded' &&
      status?.phase !== 'Failed',
  );
}

/** Evicted pods whose deletion is still to come. */
function stillGoing(
  disrupted: Record<string, string>,
  pods: readonly StoredObject[],
  now: number,
): Record<string, string> {
  const present = new Set(
    pods
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name ?? ''),
  );
  return Object.fromEntries(
    Object.entries(disrupted).filter(
      ([name, since]) => present.has(name) && Date.parse(since) + DELETION_TIMEOUT_MS > now,
    ),
  );
}

/** How many pods there should be, and how many of them must be healthy. */
function expectation(
  client: LoopbackClient,
  { spec = {} }: PodDisruptionBudget,
  pods: readonly (StoredObject & Pod)[],
): { expectedPods: number; desiredHealthy: number } {
  const { minAvailable, maxUnavailable } = spec;
  if (maxUnavailable !== undefined) {
    const expectedPods = wantedByOwners(client, pods);
    return { expectedPods, desiredHealthy: Math.max(0, expectedPods - share(maxUnavailable, expectedPods)) };
  }
  if (typeof minAvailable === 'string') {
    const expectedPods = wantedByOwners(client, pods);
    return { expectedPods, desiredHealthy: share(minAvailable, expectedPods) };
  }
  return { expectedPods: pods.length, desiredHealthy: minAvailable ?? 0 };
}

/** A number of pods; a percentage is rounded up. */
function share(value: number | string, whole: number): number {
  return typeof value === 'number' ? value : Math.ceil((parseInt(value, 10) * whole) / 100);
}

const SCALED_BY: Readonly<Record<string, string>> = {
  ReplicaSet: 'replicasets.apps',
  Deployment: 'deployments.apps',
};

/** Replicas that the pods' topmost controllers ask for. A pod without such a controller stands for itself alone. */
function wantedByOwners(client: LoopbackClient, pods: readonly (StoredObject & Pod)[]): number {
  const wanted = new Map<string, number>();
  for (const pod of pods) {
    const owner = topmostController(client, pod);
    const replicas = (owner?.['spec'] as { replicas?: number } | undefined)?.replicas;
    wanted.set(owner?.metadata.uid ?? pod.metadata.uid ?? '', replicas ?? 1);
  }
  return [...wanted.values()].reduce((sum, replicas) => sum + replicas, 0);
}

function topmostController(client: LoopbackClient, object: StoredObject): StoredObject | undefined {
  const reference = controllerOf(object);
  const resource = SCALED_BY[reference?.kind ?? ''];
  if (reference === undefined || resource === undefined) return undefined;
  const owner = client.get(resource, object.metadata.namespace, reference.name);
  if (owner === undefined || owner.metadata.uid !== reference.uid) return undefined;
  return topmostController(client, owner) ?? owner;
}

function statusOf(
  { metadata, status: before }: StoredObject & PodDisruptionBudget,
  { expectedPods, desiredHealthy }: { expectedPods: number; desiredHealthy: number },
  currentHealthy: number,
  disruptedPods: Record<string, string>,
  now: number,
): BudgetStatus {
  const disruptionsAllowed = expectedPods === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const observedGeneration = metadata.generation ?? 0;
  const allowed = disruptionsAllowed > 0;
  const known = before?.conditions?.find(({ type }) => type === 'DisruptionAllowed');
  const state = allowed ? 'True' : 'False';
  const condition: Condition = {
    type: 'DisruptionAllowed',
    status: state,
    observedGeneration,
    lastTransitionTime:
      known?.status === state && known.lastTransitionTime !== undefined
        ? known.lastTransitionTime
        : new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
    reason: allowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
  };
  return {
    conditions: [condition],
    currentHealthy,
    desiredHealthy,
    disruptionsAllowed,
    expectedPods,
    observedGeneration,
    ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
  };
}
