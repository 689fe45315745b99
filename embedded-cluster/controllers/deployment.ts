import { isDeepStrictEqual } from 'node:util';
import type { Deployment, Pod } from '../../api/kubernetes-types.ts';
import { referenceTo } from '../events.ts';
import { ApiError } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf, splitKey } from './controller.ts';
import {
  byAge,
  currentSet,
  DESIRED_REPLICAS,
  newSet,
  REVISION,
  revisionOf,
  setAnnotations,
  sizeAnnotations,
} from './deployment-sets.ts';
import type { StoredDeployment, StoredSet } from './deployment-sets.ts';
import { deadlineIn, deploymentStatus, isComplete } from './deployment-status.ts';
import { claim, controllerOf, ownerKeys } from './owners.ts';
import { REPLICA_SETS } from './replica-set.ts';
import { proportionalScaling, rollingStep, rolloutBounds } from './rollout.ts';
import type { Scaling, SetView } from './rollout.ts';
import { getAs } from '../typed-client.ts';

const DEPLOYMENTS = 'deployments.apps';
/** Kubernetes' default revisionHistoryLimit. */
const DEFAULT_HISTORY = 10;

type News = Parameters<typeof deploymentStatus>[0]['news'];

/** One look at a Deployment: what there is, and the numbers that the decisions share. */
interface Look {
  deployment: StoredDeployment;
  sets: StoredSet[];
  current: StoredSet | undefined;
  /** Oldest first. */
  old: StoredSet[];
  replicas: number;
  maxSurge: number;
  maxUnavailable: number;
}

/** Rolls Deployments out through their ReplicaSets: rolling or recreating, paused, scaled in the middle, rolled back, by their progress deadline. */
export function deployments(context: ControllerContext): ControllerSpec {
  const { clock } = context;
  return {
    name: 'deployments',
    sources: [
      { resource: DEPLOYMENTS, keys: (deployment) => [keyOf(deployment)] },
      { resource: REPLICA_SETS, keys: ownerKeys('Deployment') },
      { resource: 'pods', keys: (pod) => recreatingOwner(context, pod) },
    ],
    async reconcile(key) {
      const look = await lookAt(context, key);
      if (look === undefined) return undefined;
      if (look.deployment.metadata.deletionTimestamp !== undefined) {
        await writeStatus(context, look, undefined);
        return undefined;
      }
      const news = await act(context, look);
      const after = (await lookAt(context, key)) ?? look;
      const status = await writeStatus(context, after, news);
      if (isComplete(after.deployment, status)) await dropHistory(context, after);
      const ms = deadlineIn(after.deployment, status, clock.now());
      return ms === undefined ? undefined : { againAfterMs: ms };
    },
  };
}

async function lookAt({ client }: ControllerContext, key: string): Promise<Look | undefined> {
  const { namespace, name } = splitKey(key);
  const deployment = getAs<Deployment>(client, DEPLOYMENTS, namespace, name);
  if (deployment === undefined) return undefined;
  const sets = (await claim(client, REPLICA_SETS, deployment, deployment.spec?.selector)) as StoredSet[];
  const current = currentSet(deployment, sets);
  const replicas = deployment.spec?.replicas ?? 1;
  const { type, rollingUpdate } = deployment.spec?.strategy ?? {};
  const bounds =
    type === 'Recreate'
      ? { maxSurge: 0, maxUnavailable: replicas }
      : rolloutBounds(replicas, rollingUpdate?.maxSurge, rollingUpdate?.maxUnavailable);
  const old = byAge(sets.filter((set) => set !== current));
  return { deployment, sets, current, old, replicas, ...bounds };
}

async function act(context: ControllerContext, look: Look): Promise<News> {
  if (look.deployment.spec?.paused === true || wasScaled(look)) {
    await applyScaling(context, look, resized(look));
    return undefined;
  }
  if (look.deployment.spec?.strategy?.type === 'Recreate') return recreate(context, look);
  const ready = await ensureCurrent(context, look);
  const step = rollingStep({ ...look, current: view(ready.set), old: look.old.map(view) });
  await applyScaling(context, { ...look, current: ready.set }, step);
  return ready.news;
}

async function recreate(context: ControllerContext, look: Look): Promise<News> {
  const zero = new Map(
    look.old.filter((set) => (set.spec?.replicas ?? 0) > 0).map((set) => [set.metadata.name ?? '', 0]),
  );
  if (zero.size > 0) {
    await applyScaling(context, look, zero);
    return undefined;
  }
  if (oldPodsRun(context, look)) return undefined;
  const ready = await ensureCurrent(context, look);
  await applyScaling(
    context,
    { ...look, current: ready.set },
    new Map([[ready.set.metadata.name ?? '', look.replicas]]),
  );
  return ready.news;
}

/** The set of the current template, with its revision and annotations brought up to date. */
async function ensureCurrent(
  context: ControllerContext,
  look: Look,
): Promise<{ set: StoredSet; news: News }> {
  const { client } = context;
  const { deployment, old, current } = look;
  const maxReplicas = look.replicas + look.maxSurge;
  const revision = Math.max(0, ...old.map(revisionOf)) + 1;
  if (current !== undefined) {
    const kept = Math.max(revision, revisionOf(current));
    const annotations = setAnnotations(deployment, current, { revision: kept, maxReplicas });
    const set = isDeepStrictEqual(annotations, current.metadata.annotations)
      ? current
      : ((await client.patch(REPLICA_SETS, current.metadata.namespace, current.metadata.name ?? '', {
          metadata: { annotations },
          spec: { minReadySeconds: deployment.spec?.minReadySeconds ?? 0 },
        })) as StoredSet);
    await showRevision(context, deployment, kept);
    return { set, news: progressNews(deployment, set, 'FoundNewReplicaSet', 'Found') };
  }
  const recreating = deployment.spec?.strategy?.type === 'Recreate';
  const room = look.replicas + look.maxSurge - old.reduce((sum, set) => sum + (set.spec?.replicas ?? 0), 0);
  const replicas = recreating ? 0 : Math.max(0, Math.min(look.replicas, room));
  const created = await createSet(context, deployment, { revision, replicas, maxReplicas });
  await showRevision(context, deployment, revision);
  scalingEvent(context, deployment, created, 0, replicas);
  return { set: created, news: progressNews(deployment, created, 'NewReplicaSetCreated', 'Created') };
}

/** A hash that another template has taken is changed by the collision count. */
async function createSet(
  { client }: ControllerContext,
  deployment: StoredDeployment,
  input: { revision: number; replicas: number; maxReplicas: number },
): Promise<StoredSet> {
  for (let collisions = 0; ; collisions += 1) {
    try {
      return await client.create(REPLICA_SETS, newSet(deployment, { ...input, collisions }));
    } catch (error) {
      if (!(error instanceof ApiError && error.reason === 'AlreadyExists')) throw error;
    }
  }
}

async function showRevision(
  { client }: ControllerContext,
  deployment: StoredDeployment,
  revision: number,
): Promise<void> {
  if (revisionOf(deployment) === revision) return;
  const { namespace, name = '' } = deployment.metadata;
  await client.patch(DEPLOYMENTS, namespace, name, {
    metadata: { annotations: { [REVISION]: String(revision) } },
  });
}

/** Only the first look after a set was made or taken up again is news. */
function progressNews(deployment: StoredDeployment, set: StoredSet, reason: string, verb: string): News {
  const shown = deployment.status?.conditions?.find((c) => c.type === 'Progressing');
  if (reason === 'FoundNewReplicaSet' && shown !== undefined) return undefined;
  const message = `${verb} new replica set "${set.metadata.name ?? ''}"`;
  return { type: 'Progressing', status: 'True', reason, message };
}

/** `replicas` of the Deployment was changed since the sets were sized. */
function wasScaled(look: Look): boolean {
  return look.sets.some((set) => {
    const sizedFor = set.metadata.annotations?.[DESIRED_REPLICAS];
    return (set.spec?.replicas ?? 0) > 0 && sizedFor !== undefined && sizedFor !== String(look.replicas);
  });
}

function resized(look: Look): Scaling {
  const active = look.sets.filter((set) => (set.spec?.replicas ?? 0) > 0);
  const only = active.length > 1 ? undefined : (active[0] ?? look.current ?? look.old.at(-1));
  if (only !== undefined) return new Map([[only.metadata.name ?? '', look.replicas]]);
  const { current } = look;
  const saturated =
    current !== undefined &&
    current.spec?.replicas === look.replicas &&
    view(current).available === look.replicas;
  if (saturated) return new Map(look.old.map((set) => [set.metadata.name ?? '', 0]));
  if (active.length === 0) return new Map();
  const allowed = look.replicas === 0 ? 0 : look.replicas + look.maxSurge;
  return proportionalScaling(active.map(view), allowed);
}

async function applyScaling(context: ControllerContext, look: Look, scaling: Scaling): Promise<void> {
  const annotations = sizeAnnotations(look.replicas, look.replicas + look.maxSurge);
  const sets = new Set([...look.sets, ...(look.current === undefined ? [] : [look.current])]);
  for (const set of sets) {
    const { name = '', namespace } = set.metadata;
    const before = set.spec?.replicas ?? 0;
    const size = scaling.get(name) ?? before;
    const sized = set.metadata.annotations?.[DESIRED_REPLICAS] === String(look.replicas);
    if (size === before && (sized || size === 0)) continue;
    await context.client.patch(REPLICA_SETS, namespace, name, {
      metadata: { annotations },
      spec: { replicas: size },
    });
    if (size !== before) scalingEvent(context, look.deployment, set, before, size);
  }
}

function scalingEvent(
  { events }: ControllerContext,
  deployment: StoredDeployment,
  set: StoredSet,
  from: number,
  to: number,
): void {
  if (from === to) return;
  const subject = referenceTo(deployment, { apiVersion: 'apps/v1', kind: 'Deployment' });
  const way = to > from ? 'up' : 'down';
  const text = `Scaled ${way} replica set ${set.metadata.name ?? ''} from ${from} to ${to}`;
  events.record(subject, 'Normal', 'ScalingReplicaSet', text);
}

function oldPodsRun({ client }: ControllerContext, look: Look): boolean {
  const old = new Set(look.old.map((set) => set.metadata.uid));
  const { namespace = '' } = look.deployment.metadata;
  return client.list('pods', { namespace }).items.some((pod) => {
    const { phase } = (pod as Pod).status ?? {};
    return old.has(controllerOf(pod)?.uid) && phase !== 'Succeeded' && phase !== 'Failed';
  });
}

/** The end of a pod lets a recreating Deployment go on. */
function recreatingOwner({ client }: ControllerContext, pod: Pod): string[] {
  const namespace = pod.metadata?.namespace ?? '';
  const setName = controllerOf(pod)?.kind === 'ReplicaSet' ? controllerOf(pod)?.name : undefined;
  const set = setName === undefined ? undefined : client.get(REPLICA_SETS, namespace, setName);
  const owner = set === undefined ? undefined : controllerOf(set);
  if (owner?.kind !== 'Deployment') return [];
  const deployment = client.get(DEPLOYMENTS, namespace, owner.name) as Deployment | undefined;
  return deployment?.spec?.strategy?.type === 'Recreate' ? [`${namespace}/${owner.name}`] : [];
}

async function writeStatus(
  { client, clock }: ControllerContext,
  look: Look,
  news: News,
): Promise<NonNullable<Deployment['status']>> {
  const { deployment } = look;
  const status = deploymentStatus({ ...look, news, now: clock.now() });
  if (isDeepStrictEqual(status, deployment.status)) return status;
  const next = { ...deployment, status } as Deployment;
  await ignoring(['NotFound'], () => client.update(DEPLOYMENTS, next, { subresource: 'status' }));
  return status;
}

/** Old sets beyond revisionHistoryLimit go, the oldest first. */
async function dropHistory({ client }: ControllerContext, look: Look): Promise<void> {
  const limit = look.deployment.spec?.revisionHistoryLimit ?? DEFAULT_HISTORY;
  const empty = look.old
    .filter((set) => (set.spec?.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0)
    .sort((a, b) => revisionOf(a) - revisionOf(b));
  for (const set of empty.slice(0, Math.max(0, empty.length - limit)))
    await ignoring(['NotFound'], () =>
      client.delete(REPLICA_SETS, set.metadata.namespace, set.metadata.name ?? ''),
    );
}

function view(set: StoredSet): SetView {
  return {
    name: set.metadata.name ?? '',
    replicas: set.spec?.replicas ?? 0,
    available: set.status?.availableReplicas ?? 0,
  };
}
