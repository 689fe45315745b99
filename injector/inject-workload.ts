import { isDeepStrictEqual } from 'node:util';

import type { KubernetesObject, ObjectMeta, PodTemplateSpec } from '../api/kubernetes-types.ts';
import { annotation, DEFAULT_MESH_NAMESPACE } from '../api/names.ts';
import type { InjectionContext } from './context.ts';
import { injectPod } from './inject-pod.ts';
import { shouldInject } from './should-inject.ts';
import { hasPods, type Manifest, replaceTemplate, templateOf } from './workload-kinds.ts';
import { unlessEmpty, withoutSidecar } from './without-sidecar.ts';

/**
 * What is done to a workload's manifest: `annotate` asks for injection at admission, `manual` writes the sidecar into
 * it as the webhook would, `disable` opts out, `remove` takes out annotation and sidecar.
 */
export type WorkloadTransform =
  | { kind: 'annotate'; value: 'enabled' | 'ingress'; namespace: string }
  | { kind: 'disable' }
  | { kind: 'remove' }
  | {
      kind: 'manual';
      context: InjectionContext;
      /** Of objects that name none. */
      namespace: string;
      /** What is known of a namespace: its annotations count for its pods. */
      namespaceMeta: (name: string) => ObjectMeta | undefined;
    };

/** What became of one document of a manifest. */
export interface WorkloadReport {
  kind: string;
  name: string;
  namespace: string | undefined;
  changed: boolean;
  /** Why it was left as it is. */
  reason?: string;
  warnings: string[];
}

/**
 * Transforms one document of a manifest, Lists included. Pure; what is no workload, or cannot be injected, comes back as it was: the same object.
 */
export function injectManifest(
  document: KubernetesObject,
  transform: WorkloadTransform,
): { document: KubernetesObject; reports: WorkloadReport[] } {
  const manifest = document as Manifest;
  if (manifest.items !== undefined && manifest.kind?.endsWith('List') === true) {
    return injectList(manifest, manifest.items, transform);
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

/** A `List` of anything, or a list of one kind, whose items need not repeat what they are. */
function injectList(
  list: Manifest,
  items: readonly Manifest[],
  transform: WorkloadTransform,
): { document: KubernetesObject; reports: WorkloadReport[] } {
  const own = list.kind === 'List' ? {} : { apiVersion: list.apiVersion, kind: list.kind?.slice(0, -4) };
  const results = items.map((item) => injectManifest({ ...own, ...item } as Manifest, transform));
  const reports = results.flatMap((result) => result.reports);
  if (!reports.some(({ changed }) => changed)) return { document: list, reports };
  const injected: Manifest = { ...list, items: results.map((result) => result.document) };
  return { document: injected, reports };
}

interface Transformed {
  document: KubernetesObject | undefined;
  reason?: string;
  warnings: string[];
}

function transformed(manifest: Manifest, transform: WorkloadTransform): Transformed {
  if (!hasPods(manifest)) {
    // A namespace can ask for its pods, or stop asking.
    if (manifest.kind !== 'Namespace' || transform.kind === 'manual')
      return unchanged('this kind has no pods');
    const metadata = annotated(manifest.metadata, transform);
    if (isDeepStrictEqual(metadata, manifest.metadata)) return unchanged('it is so already');
    return { document: { ...manifest, metadata }, warnings: [] };
  }
  const template = templateOf(manifest);
  if (template === undefined) return unchanged('it has no pod template');
  if (transform.kind === 'annotate') return annotate(manifest, template, transform);
  if (transform.kind === 'manual') return manual(manifest, template, transform);
  const marked = { ...template, metadata: annotated(template.metadata, transform) };
  return replaced(manifest, transform.kind === 'remove' ? withoutSidecar(marked) : marked);
}

/** What the webhook would leave alone is not asked to be injected: whoever reads the manifest would be misled. */
function annotate(
  manifest: Manifest,
  template: PodTemplateSpec,
  transform: Extract<WorkloadTransform, { kind: 'annotate' }>,
): Transformed {
  const asking = { ...template, metadata: annotated(template.metadata, transform) };
  const name = manifest.metadata?.namespace ?? transform.namespace;
  const decision = shouldInject(asking, { name }, OFFLINE);
  if (!decision.inject) return unchanged(decision.skipped.message);
  return replaced(manifest, asking);
}

/** What is so in every mesh: without a cluster nothing more is known. */
const OFFLINE = {
  meshNamespace: DEFAULT_MESH_NAMESPACE,
  proxyMode: 'explicit',
  ignoreLinkerdAnnotation: false,
} as const;

/** As the webhook would, of a namespace that asks for it. */
function manual(
  manifest: Manifest,
  template: PodTemplateSpec,
  transform: Extract<WorkloadTransform, { kind: 'manual' }>,
): Transformed {
  const name = manifest.metadata?.namespace ?? transform.namespace;
  const known = transform.namespaceMeta(name);
  const metadata = { ...known, annotations: { ...known?.annotations, [annotation.inject]: 'enabled' } };
  const result = injectPod(template, { name, metadata }, transform.context);
  if (!result.injected) return unchanged(result.skipped.message);
  const { metadata: meta = {}, spec } = result.pod;
  const injected = { ...template, metadata: meta, ...(spec === undefined ? {} : { spec }) };
  return { ...replaced(manifest, injected), warnings: result.warnings };
}

function unchanged(reason: string): Transformed {
  return { document: undefined, reason, warnings: [] };
}

function replaced(manifest: Manifest, template: PodTemplateSpec): Transformed {
  if (isDeepStrictEqual(template, templateOf(manifest))) return unchanged('it is so already');
  return { document: replaceTemplate(manifest, template), warnings: [] };
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
