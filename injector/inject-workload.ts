import type { KubernetesObject, ObjectMeta, PodTemplateSpec } from '../api/kubernetes-types.ts';
import { annotation } from '../api/names.ts';
import type { InjectionContext } from './context.ts';
import { injectPod } from './inject-pod.ts';
import { unlessEmpty, withoutSidecar } from './without-sidecar.ts';

/**
 * What is done to a workload's manifest: `annotate` asks for injection at admission, `manual` writes the sidecar into it, `disable` opts out,
 * `remove` takes out annotation and sidecar.
 */
export type WorkloadTransform =
  | { kind: 'annotate'; value: 'enabled' | 'ingress' }
  | { kind: 'disable' }
  | { kind: 'remove' }
  | { kind: 'manual'; context: InjectionContext; namespace: string };

export interface WorkloadReport {
  kind: string;
  name: string;
  namespace: string | undefined;
  changed: boolean;
  /** Why it was left as it is. */
  reason?: string;
  warnings: string[];
}

/** What can stand in a manifest. */
type Manifest = KubernetesObject & { items?: Manifest[]; spec?: Record<string, unknown> };

/** Where the pod template stands in each kind of workload. */
const TEMPLATES: Record<string, readonly string[]> = {
  Deployment: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
  Pod: [],
};

/** Transforms one document of a manifest, Lists included. Pure; everything that is no workload comes back as it was. */
export function injectManifest(
  document: KubernetesObject,
  transform: WorkloadTransform,
): { document: KubernetesObject; reports: WorkloadReport[] } {
  const manifest = document as Manifest;
  if (manifest.kind === 'List' && manifest.items !== undefined) {
    const results = manifest.items.map((item) => injectManifest(item, transform));
    return {
      document: { ...manifest, items: results.map((result) => result.document) } as KubernetesObject,
      reports: results.flatMap((result) => result.reports),
    };
  }
  const { document: changed, reason, warnings } = transformed(manifest, transform);
  const report: WorkloadReport = {
    kind: manifest.kind ?? 'unknown',
    name: manifest.metadata?.name ?? manifest.metadata?.generateName ?? '',
    namespace: manifest.metadata?.namespace,
    changed: changed !== undefined,
    warnings,
    ...(reason === undefined ? {} : { reason }),
  };
  return { document: changed ?? document, reports: [report] };
}

interface Transformed {
  document: KubernetesObject | undefined;
  reason?: string;
  warnings: string[];
}

function transformed(manifest: Manifest, transform: WorkloadTransform): Transformed {
  const path = TEMPLATES[manifest.kind ?? ''];
  if (path === undefined) {
    // A namespace can ask for its pods, or stop asking.
    if (manifest.kind !== 'Namespace' || transform.kind === 'manual') {
      return { document: undefined, reason: 'this kind has no pods', warnings: [] };
    }
    return { document: withMeta(manifest, annotated(manifest.metadata, transform)), warnings: [] };
  }
  const template = at(manifest, path);
  if (template === undefined) return { document: undefined, reason: 'it has no pod template', warnings: [] };
  if (transform.kind === 'manual') return manual(manifest, path, template, transform);
  const meta = annotated(template.metadata, transform);
  const bare =
    transform.kind === 'remove'
      ? withoutSidecar({ ...template, metadata: meta })
      : { ...template, metadata: meta };
  return { document: replacedAt(manifest, path, bare), warnings: [] };
}

function manual(
  manifest: Manifest,
  path: readonly string[],
  template: PodTemplateSpec,
  transform: Extract<WorkloadTransform, { kind: 'manual' }>,
): Transformed {
  const name = manifest.metadata?.namespace ?? transform.namespace;
  const namespace = { name, metadata: { annotations: { [annotation.inject]: 'enabled' } } };
  const result = injectPod(template, namespace, transform.context);
  if (!result.injected) return { document: undefined, reason: result.skipped.message, warnings: [] };
  const { metadata = {}, spec } = result.pod;
  const injected: PodTemplateSpec = { ...template, metadata, ...(spec === undefined ? {} : { spec }) };
  return { document: replacedAt(manifest, path, injected), warnings: result.warnings };
}

function annotated(
  meta: ObjectMeta | undefined,
  transform: Exclude<WorkloadTransform, { kind: 'manual' }>,
): ObjectMeta {
  const { [annotation.inject]: _ours, ...others } = meta?.annotations ?? {};
  if (transform.kind === 'remove') {
    const { [annotation.linkerdInject]: _linkerds, ...rest } = others;
    const { annotations: _annotations, ...bare } = meta ?? {};
    return { ...bare, ...unlessEmpty('annotations', rest) };
  }
  const value = transform.kind === 'disable' ? 'disabled' : transform.value;
  return { ...meta, annotations: { ...others, [annotation.inject]: value } };
}

function at(manifest: Manifest, path: readonly string[]): PodTemplateSpec | undefined {
  let value: unknown = manifest;
  for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
  return value === null || typeof value !== 'object' ? undefined : value;
}

function replacedAt<T extends object>(object: T, path: readonly string[], value: object): T {
  const [key, ...rest] = path;
  if (key === undefined) return { ...object, ...value };
  const child = (object as Record<string, object>)[key] ?? {};
  return { ...object, [key]: replacedAt(child, rest, value) };
}

function withMeta(manifest: Manifest, metadata: ObjectMeta): Manifest {
  return { ...manifest, metadata };
}
