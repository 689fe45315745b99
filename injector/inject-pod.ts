import { isDeepStrictEqual } from 'node:util';

import type { ObjectMeta, Pod, PodSpec } from '../api/kubernetes-types.ts';
import { annotation, label, VERSION } from '../api/names.ts';
import type { InjectionContext } from './context.ts';
import { withSidecar } from './placement.ts';
import { shouldInject, type Skipped } from './should-inject.ts';
import { type SidecarPlan, sidecarPlan } from './sidecar-plan.ts';

/** One operation of a JSON patch (RFC 6902). */
export interface JsonPatchOperation {
  op: 'add';
  path: string;
  value: unknown;
}

/** What becomes of a pod. */
export type InjectionResult =
  | { injected: true; pod: Pod; patch: JsonPatchOperation[]; warnings: string[] }
  | { injected: false; patch: []; skipped: Skipped; warnings: string[] };

/** Pure: the pod with its sidecar and the patch that leads there, or why it stays as it is. */
export function injectPod(
  pod: Pod,
  namespace: { name: string; metadata?: ObjectMeta | undefined },
  context: InjectionContext,
): InjectionResult {
  const decision = shouldInject(pod, namespace, context);
  if (!decision.inject) return { injected: false, patch: [], skipped: decision.skipped, warnings: [] };
  const { plan, warnings } = sidecarPlan(pod, namespace.metadata, context, decision.ingress);
  const spec = pod.spec ?? { containers: [] };
  const injected: Pod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata?.labels,
        [label.controlPlaneNs]: context.meshNamespace,
        [label.proxyWorkload]: namespace.name,
      },
      annotations: {
        ...defaultContainer(spec, plan),
        ...pod.metadata?.annotations,
        [annotation.proxyVersion]: VERSION,
        [annotation.injectedBy]: `isthmus/injector ${VERSION}`,
      },
    },
    spec: withSidecar(spec, plan),
  };
  return {
    injected: true,
    pod: injected,
    patch: podPatch(pod, injected),
    warnings,
  };
}

/** A sidecar that stands first among the containers is not what people mean by `kubectl logs`. */
function defaultContainer(spec: PodSpec, plan: SidecarPlan): Record<string, string> {
  const [first] = spec.containers;
  return plan.native || first === undefined ? {} : { [annotation.defaultContainer]: first.name };
}

/** Whole members are exchanged: the patch is for exactly the object that was sent, so nothing finer is gained. `add` replaces a member that is there. */
function podPatch(before: Pod, after: Pod): JsonPatchOperation[] {
  const members: [path: string, old: unknown, value: unknown][] = [
    ['/metadata/labels', before.metadata?.labels, after.metadata?.labels],
    ['/metadata/annotations', before.metadata?.annotations, after.metadata?.annotations],
    ['/spec/initContainers', before.spec?.initContainers, after.spec?.initContainers],
    ['/spec/containers', before.spec?.containers, after.spec?.containers],
    ['/spec/volumes', before.spec?.volumes, after.spec?.volumes],
  ];
  return members
    .filter(([, old, value]) => !isDeepStrictEqual(old, value))
    .map(([path, , value]) => ({ op: 'add', path, value }));
}
