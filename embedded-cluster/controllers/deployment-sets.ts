import { isDeepStrictEqual } from 'node:util';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import { controllerReference } from './owners.ts';

/** Tells the pods of one template from those of others. */
const HASH_LABEL = 'pod-template-hash';
/** Counts a Deployment's templates. */
export const REVISION = 'deployment.kubernetes.io/revision';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';

/** Annotations of a Deployment that are its own and not passed to its ReplicaSets. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);

export type StoredDeployment = StoredObject & Deployment;
export type StoredSet = StoredObject & ReplicaSet;

/** The set that has the Deployment's template now; the oldest when a collision has made several. */
export function currentSet(deployment: Deployment, sets: readonly StoredSet[]): StoredSet | undefined {
  const wanted = withoutHash(deployment.spec?.template);
  return byAge(sets).find((set) => isDeepStrictEqual(withoutHash(set.spec?.template), wanted));
}

/** Oldest first. */
export function byAge(sets: readonly StoredSet[]): StoredSet[] {
  return [...sets].sort((a, b) => {
    const [first = '', second = ''] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
    if (first !== second) return first < second ? -1 : 1;
    return revisionOf(a) - revisionOf(b);
  });
}

/** 0: it has none yet. */
export function revisionOf(object: StoredObject): number {
  return Number(object.metadata.annotations?.[REVISION] ?? '0') || 0;
}

/** The ReplicaSet for a new template. */
export function newSet(
  deployment: StoredDeployment,
  input: { revision: number; replicas: number; maxReplicas: number; collisions: number },
): ReplicaSet {
  const { name = '', namespace = '' } = deployment.metadata;
  const spec = deployment.spec ?? { selector: {}, template: {} };
  const hash = templateHash(spec.template, input.collisions);
  const labels = { ...spec.template.metadata?.labels, [HASH_LABEL]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels,
      annotations: setAnnotations(deployment, undefined, input),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: input.replicas,
      selector: {
        ...spec.selector,
        matchLabels: { ...spec.selector.matchLabels, [HASH_LABEL]: hash },
      },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
    },
  };
}

/** Annotations that the current set is to have: the Deployment's, its revision (with those it had before), and what a later scaling is judged by. */
export function setAnnotations(
  deployment: StoredDeployment,
  set: StoredSet | undefined,
  input: { revision: number; maxReplicas: number },
): Record<string, string> {
  const own = set?.metadata.annotations ?? {};
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(
    ([key]) => !NOT_COPIED.has(key),
  );
  const result = { ...own, ...Object.fromEntries(copied) };
  const before = own[REVISION];
  if (before !== undefined && before !== String(input.revision)) {
    const history = own[REVISION_HISTORY];
    result[REVISION_HISTORY] = history === undefined ? before : `${history},${before}`;
  }
  result[REVISION] = String(input.revision);
  return { ...result, ...sizeAnnotations(deployment.spec?.replicas ?? 1, input.maxReplicas) };
}

/** What a ReplicaSet is told of its Deployment's size, for scaling in the midst of a rollout. */
export function sizeAnnotations(replicas: number, maxReplicas: number): Record<string, string> {
  return { [DESIRED_REPLICAS]: String(replicas), [MAX_REPLICAS]: String(maxReplicas) };
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Letters and digits that make no words and can't be mistaken (Kubernetes' alphabet of generated names). */
const SAFE = 'bcdfghjklmnpqrstvwxz2456789';

/** A short name for a template: FNV-1a of its canonical JSON, in the alphabet of generated names. */
function templateHash(template: PodTemplateSpec, collisions: number): string {
  let hash = FNV_OFFSET;
  const bytes = Buffer.from(canonical(template) + (collisions === 0 ? '' : String(collisions)));
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME) >>> 0;
  return String(hash).replaceAll(/\d/g, (digit) => SAFE[Number(digit)] ?? '');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const { [HASH_LABEL]: _, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels } };
}
