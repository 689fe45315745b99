import type { KubernetesObject, PodTemplateSpec } from '../api/kubernetes-types.ts';

/** What can stand in a manifest. */
export type Manifest = KubernetesObject & { items?: Manifest[]; spec?: Record<string, unknown> };

interface WorkloadKind {
  readonly groups: readonly string[];
  /** Where the pod template stands. */
  readonly template: readonly string[];
}

const APPS = { groups: ['apps', 'extensions'], template: ['spec', 'template'] } as const;

const KINDS: Readonly<Record<string, WorkloadKind>> = {
  Deployment: APPS,
  DaemonSet: APPS,
  StatefulSet: APPS,
  ReplicaSet: APPS,
  ReplicationController: { groups: [''], template: ['spec', 'template'] },
  Job: { groups: ['batch'], template: ['spec', 'template'] },
  CronJob: { groups: ['batch'], template: ['spec', 'jobTemplate', 'spec', 'template'] },
  Pod: { groups: [''], template: [] },
};

/** Whether an object is a workload of Kubernetes' own: others may hold templates of the same names that mean something else. */
export function hasPods(manifest: Manifest): boolean {
  return kindOf(manifest) !== undefined;
}

/** The pod template of a workload; of a Pod, itself. Undefined when there is none. */
export function templateOf(manifest: Manifest): PodTemplateSpec | undefined {
  let value: unknown = manifest;
  for (const key of kindOf(manifest)?.template ?? [])
    value = (value as Record<string, unknown> | null | undefined)?.[key];
  return value === null || typeof value !== 'object' ? undefined : value;
}

/** The workload with another pod template. */
export function replaceTemplate(manifest: Manifest, template: PodTemplateSpec): Manifest {
  return replacedAt(manifest, kindOf(manifest)?.template ?? [], template);
}

function kindOf({ apiVersion = '', kind = '' }: Manifest): WorkloadKind | undefined {
  const known = KINDS[kind];
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return known?.groups.includes(group) === true ? known : undefined;
}

function replacedAt<T extends object>(object: T, path: readonly string[], value: object): T {
  const [key, ...rest] = path;
  // A template takes the place of all that it was; of a Pod, the rest (status, kind) stays.
  if (key === undefined) return { ...object, ...value };
  const child = (object as Record<string, object>)[key] ?? {};
  return { ...object, [key]: replacedAt(child, rest, value) };
}
