import { isDeepStrictEqual } from 'node:util';

import type { Container, ObjectMeta, Pod } from '../api/kubernetes-types.ts';
import { annotation, label, VERSION } from '../api/names.ts';
import { type ProxyConfig, proxyConfig } from './annotations.ts';
import type { InjectionContext } from './context.ts';
import { withExplicitProxy } from './explicit-proxy.ts';
import { portList } from './port-list.ts';
import { redirectContainer } from './redirect-init.ts';
import { shouldInject, type Skipped } from './should-inject.ts';
import { sidecarContainer, sidecarVolumes } from './sidecar.ts';

/** One operation of a JSON patch (RFC 6902). */
export interface JsonPatchOperation {
  op: 'add';
  path: string;
  value: unknown;
}

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
  const spec = pod.spec ?? { containers: [] };
  const { config, warnings } = sidecarConfig(pod, spec.containers, namespace.metadata);
  const withProxy = (container: Container): Container =>
    context.proxyMode === 'explicit' ? withExplicitProxy(container, context.apiServerHost) : container;
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
        ...pod.metadata?.annotations,
        [annotation.proxyVersion]: VERSION,
        [annotation.injectedBy]: `isthmus/injector ${VERSION}`,
      },
    },
    spec: {
      ...spec,
      // First, so that the other init containers have the mesh as well; the rules before the sidecar, whose own connections they leave alone.
      initContainers: [
        ...(context.proxyMode === 'redirect' ? [redirectContainer(context, config)] : []),
        sidecarContainer(context, config),
        ...(spec.initContainers ?? []).map(withProxy),
      ],
      containers: spec.containers.map(withProxy),
      volumes: [...(spec.volumes ?? []), ...sidecarVolumes()],
    },
  };
  return {
    injected: true,
    pod: injected,
    patch: podPatch(pod, injected),
    warnings: [...decision.warnings, ...warnings],
  };
}

/** What pod and namespace ask of the sidecar, in the form that the proxy takes. */
function sidecarConfig(
  pod: Pod,
  containers: readonly Container[],
  namespace: ObjectMeta | undefined,
): { config: ProxyConfig; warnings: string[] } {
  const { config, warnings } = proxyConfig(pod.metadata, namespace);
  for (const [setting, what] of PORT_LISTS) {
    const text = config[setting];
    if (text === undefined) continue;
    const list = portList(text, containers, what);
    config[setting] = list.ports;
    warnings.push(...list.warnings);
  }
  return { config, warnings };
}

const PORT_LISTS = [
  ['opaquePorts', 'opaque ports'],
  ['skipInboundPorts', 'skipped inbound ports'],
  ['skipOutboundPorts', 'skipped outbound ports'],
] as const satisfies [keyof ProxyConfig, string][];

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
