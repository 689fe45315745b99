import type { Deployment, LabelSelector, PodTemplateSpec } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { age, humanDuration } from './age.ts';
import { nameOf, selectorText } from './text.ts';

type DeploymentObject = StoredObject & Deployment;

/** What the tables of workloads read; all numbers are absent until a controller has written them. */
interface Workload {
  spec?: {
    replicas?: number;
    selector?: LabelSelector;
    template?: PodTemplateSpec;
    completions?: number;
    parallelism?: number;
    suspend?: boolean;
    schedule?: string;
    timeZone?: string;
    jobTemplate?: { spec?: { template?: PodTemplateSpec; selector?: LabelSelector } };
  };
  status?: {
    replicas?: number;
    readyReplicas?: number;
    desiredNumberScheduled?: number;
    currentNumberScheduled?: number;
    numberReady?: number;
    updatedNumberScheduled?: number;
    numberAvailable?: number;
    succeeded?: number;
    startTime?: string;
    completionTime?: string;
    lastScheduleTime?: string;
    active?: unknown[];
    conditions?: { type: string; status: string }[];
  };
}

export function deploymentCells(object: StoredObject, now: number): unknown[] {
  const { spec, status, metadata }: DeploymentObject = object;
  return [
    nameOf(object),
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    status?.updatedReplicas ?? 0,
    status?.availableReplicas ?? 0,
    age(metadata.creationTimestamp, now),
    ...containerCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

export function replicaSetCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = workload(object);
  return [
    nameOf(object),
    spec?.replicas ?? 0,
    status?.replicas ?? 0,
    status?.readyReplicas ?? 0,
    age(object.metadata.creationTimestamp, now),
    ...containerCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

export function statefulSetCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = workload(object);
  return [
    nameOf(object),
    `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    age(object.metadata.creationTimestamp, now),
    ...containerCells(spec?.template),
  ];
}

export function daemonSetCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = workload(object);
  return [
    nameOf(object),
    status?.desiredNumberScheduled ?? 0,
    status?.currentNumberScheduled ?? 0,
    status?.numberReady ?? 0,
    status?.updatedNumberScheduled ?? 0,
    status?.numberAvailable ?? 0,
    selectorText({ matchLabels: spec?.template?.spec?.nodeSelector ?? {} }),
    age(object.metadata.creationTimestamp, now),
    ...containerCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

export function jobCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = workload(object);
  const start = status?.startTime === undefined ? undefined : Date.parse(status.startTime);
  const end = status?.completionTime === undefined ? now : Date.parse(status.completionTime);
  return [
    nameOf(object),
    jobStatus(object),
    `${status?.succeeded ?? 0}/${completionsText(spec)}`,
    start === undefined ? '' : humanDuration(end - start),
    age(object.metadata.creationTimestamp, now),
    ...containerCells(spec?.template),
    selectorText(spec?.selector),
  ];
}

export function cronJobCells(object: StoredObject, now: number): unknown[] {
  const { spec, status } = workload(object);
  const last = status?.lastScheduleTime;
  return [
    nameOf(object),
    spec?.schedule ?? '',
    spec?.timeZone ?? '<none>',
    spec?.suspend === true ? 'True' : 'False',
    status?.active?.length ?? 0,
    last === undefined ? '<none>' : age(last, now),
    age(object.metadata.creationTimestamp, now),
    ...containerCells(spec?.jobTemplate?.spec?.template),
    selectorText(spec?.jobTemplate?.spec?.selector),
  ];
}

function jobStatus(object: StoredObject): string {
  const conditions = workload(object).status?.conditions ?? [];
  const has = (type: string): boolean =>
    conditions.some((condition) => condition.type === type && condition.status === 'True');
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  if (has('FailureTarget')) return 'FailureTarget';
  return has('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function completionsText(spec: Workload['spec']): string {
  if (spec?.completions !== undefined) return String(spec.completions);
  const parallelism = spec?.parallelism ?? 1;
  return parallelism > 1 ? `1 of ${parallelism}` : '1';
}

/** CONTAINERS and IMAGES of the wide table. */
function containerCells(template: PodTemplateSpec | undefined): [string, string] {
  const containers = template?.spec?.containers ?? [];
  return [containers.map(({ name }) => name).join(','), containers.map(({ image }) => image ?? '').join(',')];
}

function workload(object: StoredObject): Workload {
  return object as StoredObject & Workload;
}
