import { isDeepStrictEqual } from 'node:util';
import type {
  Condition,
  KubernetesObject,
  LabelSelector,
  Pod,
  PodTemplateSpec,
} from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';
import { referenceTo } from '../events.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf, splitKey } from './controller.ts';
import { withoutZeros } from './deployment-status.ts';
import { controllerOf, controllerReference, ownerKeys } from './owners.ts';
import { isActive, isReady } from './pods.ts';
import { getAs } from '../typed-client.ts';

const JOBS = 'jobs.batch';
/** Kubernetes' default backoffLimit. */
const DEFAULT_BACKOFF_LIMIT = 6;
/** The job controller's wait after a failed pod: 10 s doubling to 10 min. */
const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 600_000;

interface Job extends KubernetesObject {
  spec?: {
    parallelism?: number;
    completions?: number;
    backoffLimit?: number;
    suspend?: boolean;
    ttlSecondsAfterFinished?: number;
    selector?: LabelSelector;
    template: PodTemplateSpec;
  };
  status?: {
    active?: number;
    ready?: number;
    succeeded?: number;
    failed?: number;
    startTime?: string;
    completionTime?: string;
    conditions?: Condition[];
  };
}

type StoredJob = StoredObject & Job;

/** Runs Jobs to their number of completions, or to failure after `backoffLimit` failed pods. Indexed completion and pod failure policies are not known. */
export function jobs(context: ControllerContext): ControllerSpec {
  const { client, clock } = context;
  return {
    name: 'jobs',
    sources: [
      { resource: JOBS, keys: (job) => [keyOf(job)] },
      { resource: 'pods', keys: ownerKeys('Job') },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const job = getAs<Job>(client, JOBS, namespace, name);
      if (job === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
      const pods = client
        .list('pods', { namespace })
        .items.filter((pod) => controllerOf(pod)?.uid === job.metadata.uid) as Pod[];
      if (endOf(job) !== undefined) return afterEnd(context, job, pods);
      const again = await advance(context, job, pods);
      const latest = client
        .list('pods', { namespace })
        .items.filter((pod) => controllerOf(pod)?.uid === job.metadata.uid) as Pod[];
      await writeStatus(context, job, latest);
      return again === undefined ? undefined : { againAfterMs: Math.max(0, again - clock.now()) };
    },
  };
}

/** Creates what is missing. Returns when to look again (ms since the epoch), when it has to wait. */
async function advance(
  context: ControllerContext,
  job: StoredJob,
  pods: readonly Pod[],
): Promise<number | undefined> {
  const { client, clock, events } = context;
  const verdict = verdictOf(job, pods);
  const active = pods.filter(isActive);
  if (verdict !== undefined || job.spec?.suspend === true) {
    for (const pod of active)
      await ignoring(['NotFound'], () =>
        client.delete('pods', job.metadata.namespace, pod.metadata?.name ?? ''),
      );
    return undefined;
  }
  const missing = wantedActive(job, pods) - active.length;
  if (missing <= 0) return undefined;
  const next = nextStart(pods);
  if (next > clock.now()) return next;
  for (let i = 0; i < missing; i += 1) {
    const created = await client.create('pods', podOf(job));
    const subject = referenceTo(job, { apiVersion: 'batch/v1', kind: 'Job' });
    events.record(subject, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name ?? ''}`);
  }
  return undefined;
}

function wantedActive(job: Job, pods: readonly Pod[]): number {
  const parallelism = job.spec?.parallelism ?? 1;
  const { completions } = job.spec ?? {};
  const done = count(pods, 'Succeeded');
  // Without a number of completions the first success ends the creation of more.
  if (completions === undefined) return done > 0 ? 0 : parallelism;
  return Math.min(parallelism, completions - done);
}

function verdictOf(job: Job, pods: readonly Pod[]): 'Complete' | 'Failed' | undefined {
  const succeeded = count(pods, 'Succeeded');
  const { completions, backoffLimit = DEFAULT_BACKOFF_LIMIT } = job.spec ?? {};
  if (completions === undefined ? succeeded > 0 && !pods.some(isActive) : succeeded >= completions)
    return 'Complete';
  return count(pods, 'Failed') > backoffLimit ? 'Failed' : undefined;
}

function nextStart(pods: readonly Pod[]): number {
  const failures = count(pods, 'Failed');
  if (failures === 0) return 0;
  const ended = pods.flatMap((pod) =>
    (pod.status?.containerStatuses ?? []).map((c) => Date.parse(c.state?.terminated?.finishedAt ?? '') || 0),
  );
  return Math.max(0, ...ended) + Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
}

function podOf(job: StoredJob): Pod {
  const { name = '', namespace = '' } = job.metadata;
  const template = job.spec?.template ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: { ...template.metadata?.labels, ...job.spec?.selector?.matchLabels },
      annotations: template.metadata?.annotations ?? {},
      ownerReferences: [controllerReference(job)],
    },
    spec: template.spec ?? { containers: [] },
  };
}

async function writeStatus(
  { client, clock }: ControllerContext,
  job: StoredJob,
  pods: readonly Pod[],
): Promise<void> {
  const now = metaTime(clock.now());
  const verdict = verdictOf(job, pods);
  const before = job.status ?? {};
  const { startTime = now, completionTime, conditions } = before;
  const active = pods.filter(isActive);
  const status: NonNullable<Job['status']> = {
    startTime,
    ...(completionTime === undefined ? {} : { completionTime }),
    ...(conditions === undefined ? {} : { conditions }),
    ready: active.filter(isReady).length,
    ...withoutZeros({
      active: active.length,
      succeeded: count(pods, 'Succeeded'),
      failed: count(pods, 'Failed'),
    }),
  };
  if (verdict !== undefined) {
    const complete = verdict === 'Complete';
    if (complete) status.completionTime = now;
    status.conditions = [
      {
        type: verdict,
        status: 'True',
        reason: complete ? 'CompletionsReached' : 'BackoffLimitExceeded',
        message: complete
          ? 'Reached expected number of succeeded pods'
          : 'Job has reached the specified backoff limit',
        lastTransitionTime: now,
      },
    ];
  }
  if (isDeepStrictEqual(status, before)) return;
  await ignoring(['NotFound'], () =>
    client.update(JOBS, { ...job, status } as KubernetesObject, { subresource: 'status' }),
  );
}

/** A finished Job stays until its ttlSecondsAfterFinished is over. */
async function afterEnd(
  { client, clock }: ControllerContext,
  job: StoredJob,
  pods: readonly Pod[],
): Promise<{ againAfterMs: number } | undefined> {
  const { namespace, name = '' } = job.metadata;
  for (const pod of pods.filter(isActive))
    await ignoring(['NotFound'], () => client.delete('pods', namespace, pod.metadata?.name ?? ''));
  const ttl = job.spec?.ttlSecondsAfterFinished;
  if (ttl === undefined) return undefined;
  const left = (endOf(job) ?? 0) + ttl * 1000 - clock.now();
  if (left > 0) return { againAfterMs: left };
  await ignoring(['NotFound'], () =>
    client.delete(JOBS, namespace, name, { propagationPolicy: 'Background' }),
  );
  return undefined;
}

/** When it completed or failed, in ms since the epoch. */
function endOf(job: Job): number | undefined {
  const end = job.status?.conditions?.find(
    (c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True',
  );
  return end === undefined ? undefined : Date.parse(end.lastTransitionTime ?? '') || 0;
}

function count(pods: readonly Pod[], phase: 'Succeeded' | 'Failed'): number {
  return pods.filter((pod) => pod.status?.phase === phase).length;
}
