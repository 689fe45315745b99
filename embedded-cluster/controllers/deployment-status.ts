import type { Deployment } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';
import type { StoredDeployment, StoredSet } from './deployment-sets.ts';

type Status = NonNullable<Deployment['status']>;
type DeploymentCondition = NonNullable<Status['conditions']>[number];
type News = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>;

/** Kubernetes' default progressDeadlineSeconds. */
const DEFAULT_DEADLINE_SECONDS = 600;

/** Counters and conditions of a Deployment, as its controller words them. `news`: what was just done (a set created or found). */
export function deploymentStatus(input: {
  deployment: StoredDeployment;
  current: StoredSet | undefined;
  sets: readonly StoredSet[];
  maxUnavailable: number;
  news: News | undefined;
  now: number;
}): Status {
  const { deployment, current, sets, now } = input;
  const before = deployment.status ?? {};
  const sum = (field: 'replicas' | 'readyReplicas' | 'availableReplicas'): number =>
    sets.reduce((all, set) => all + (set.status?.[field] ?? 0), 0);
  const wanted = deployment.spec?.replicas ?? 1;
  const status: Status = {
    ...(before.conditions === undefined ? {} : { conditions: before.conditions }),
    observedGeneration: deployment.metadata.generation ?? 0,
    ...withoutZeros({
      replicas: sum('replicas'),
      updatedReplicas: current?.status?.replicas ?? 0,
      readyReplicas: sum('readyReplicas'),
      availableReplicas: sum('availableReplicas'),
      unavailableReplicas: Math.max(0, wanted - sum('availableReplicas')),
    }),
  };
  let conditions = before.conditions ?? [];
  conditions = set(conditions, available(status, wanted - input.maxUnavailable), now);
  if (input.news !== undefined) conditions = set(conditions, input.news, now);
  const progress = progressing(deployment, status, current, conditions, now);
  if (progress !== undefined) conditions = set(conditions, progress, now);
  return { ...status, conditions };
}

/** ms until the rollout has to be judged by its deadline; undefined when it does not run. */
export function deadlineIn(deployment: StoredDeployment, status: Status, now: number): number | undefined {
  const condition = status.conditions?.find((c) => c.type === 'Progressing');
  const running = condition?.status === 'True' && condition.reason !== 'NewReplicaSetAvailable';
  if (!running || deployment.spec?.paused === true) return undefined;
  const since = Date.parse(condition.lastUpdateTime ?? '') || now;
  return Math.max(0, since + deadlineMs(deployment) - now) + 1000;
}

/** Counters that are zero are left out, as the API's own types do. */
export function withoutZeros<T extends Record<string, number>>(counters: T): Partial<T> {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count !== 0)) as Partial<T>;
}

/** Every pod is of the current template and available. */
export function isComplete(deployment: StoredDeployment, status: Status): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = status;
  return updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted;
}

function available(status: Status, least: number): News {
  const type = 'Available';
  if ((status.availableReplicas ?? 0) >= least)
    return {
      type,
      status: 'True',
      reason: 'MinimumReplicasAvailable',
      message: 'Deployment has minimum availability.',
    };
  return {
    type,
    status: 'False',
    reason: 'MinimumReplicasUnavailable',
    message: 'Deployment does not have minimum availability.',
  };
}

function progressing(
  deployment: StoredDeployment,
  status: Status,
  current: StoredSet | undefined,
  conditions: readonly DeploymentCondition[],
  now: number,
): News | undefined {
  const type = 'Progressing';
  const shown = conditions.find((c) => c.type === type);
  const what = current === undefined ? 'Deployment' : 'ReplicaSet';
  const name = current?.metadata.name ?? deployment.metadata.name ?? '';
  if (deployment.spec?.paused === true)
    return { type, status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' };
  if (shown?.reason === 'DeploymentPaused')
    return { type, status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' };
  const settled = status.replicas === status.updatedReplicas && shown?.reason === 'NewReplicaSetAvailable';
  if (settled) return undefined;
  if (isComplete(deployment, status)) {
    const message = `${what} "${name}" has successfully progressed.`;
    return { type, status: 'True', reason: 'NewReplicaSetAvailable', message };
  }
  if (moved(deployment.status ?? {}, status)) {
    return {
      type,
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message: `${what} "${name}" is progressing.`,
    };
  }
  const since = Date.parse(shown?.lastUpdateTime ?? '');
  if (shown !== undefined && now > since + deadlineMs(deployment)) {
    const message = `${what} "${name}" has timed out progressing.`;
    return { type, status: 'False', reason: 'ProgressDeadlineExceeded', message };
  }
  return undefined;
}

function moved(before: Status, after: Status): boolean {
  const old = (status: Status): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function deadlineMs(deployment: StoredDeployment): number {
  return (deployment.spec?.progressDeadlineSeconds ?? DEFAULT_DEADLINE_SECONDS) * 1000;
}

/**
 * A condition that says the same stays untouched, except that progress renews `lastUpdateTime`, which the deadline counts from. The transition time moves
 * only with the status.
 */
function set(conditions: readonly DeploymentCondition[], news: News, now: number): DeploymentCondition[] {
  const known = conditions.find((c) => c.type === news.type);
  const progress = news.reason === 'ReplicaSetUpdated';
  if (known?.status === news.status && known.reason === news.reason && !progress) return [...conditions];
  const kept = known?.status === news.status ? known.lastTransitionTime : undefined;
  const condition = { ...news, lastUpdateTime: metaTime(now), lastTransitionTime: kept ?? metaTime(now) };
  return [...conditions.filter((c) => c.type !== news.type), condition];
}
