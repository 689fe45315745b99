import type { Container, Pod } from '../api/kubernetes-types.ts';
import { component, label, port, redirectEnv } from '../api/names.ts';
import { isAppSidecar, probePaths } from '../api/pod-probes.ts';
import { keepOnly } from '../kubernetes/keep-only.ts';
import { canonicalIp } from './ip-address.ts';
import { parsePortSet, type PortSet } from './port-set.ts';

/** What proxies must know of a pod. */
export interface WorkloadPod {
  namespace: string;
  name: string;
  /** Canonical. */
  ips: readonly string[];
  hostNetwork: boolean;
  /** Undefined: it has no place yet. */
  nodeName: string | undefined;
  /** Succeeded or Failed: holds its address no more. */
  ended: boolean;
  /** RFC 3339; empty when unknown. */
  createdAt: string;
  serviceAccount: string;
  /** Mesh namespace of the control plane that injected the pod. */
  controlPlaneNs: string | undefined;
  /** Port that takes mesh TLS: of a sidecar, or the pod is a gateway. Undefined: no proxy is there. */
  proxyPort: number | undefined;
  /** Ports that the rules of the pod leave to the app: nothing meshed answers there. */
  skippedPorts: PortSet;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** Lower-case kind and name of what runs the pod, Deployments looked through: `deployment`, `web`. */
  owner: { kind: string; name: string } | undefined;
  /** Names of the containers' ports, by number. */
  portNames: ReadonlyMap<number, string>;
  /** Paths that the kubelet asks for by HTTP, by port. */
  probePaths: ReadonlyMap<number, readonly string[]>;
}

/** Takes from a pod what proxies must know. */
export function workloadPod(pod: Pod): WorkloadPod {
  const meta = pod.metadata ?? {};
  const spec = pod.spec;
  const containers = spec?.containers ?? [];
  return {
    namespace: meta.namespace ?? '',
    name: meta.name ?? '',
    ips: (pod.status?.podIPs?.map(({ ip }) => ip) ?? [pod.status?.podIP ?? ''])
      .map((ip) => canonicalIp(ip))
      .filter((ip) => ip !== undefined),
    hostNetwork: spec?.hostNetwork ?? false,
    nodeName: spec?.nodeName,
    ended: pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed',
    createdAt: meta.creationTimestamp ?? '',
    serviceAccount: spec?.serviceAccountName ?? 'default',
    controlPlaneNs: meta.labels?.[label.controlPlaneNs],
    proxyPort: proxyPort(pod),
    skippedPorts: skippedPorts(pod),
    labels: meta.labels ?? {},
    annotations: meta.annotations ?? {},
    owner: podOwner(pod),
    portNames: portNames(containers),
    probePaths: probePaths(spec ?? { containers: [] }),
  };
}

function proxyPort(pod: Pod): number | undefined {
  if (pod.metadata?.labels?.[label.component] === component.gateway) return port.inbound;
  const sidecar = containerNamed(pod, component.proxy);
  if (sidecar === undefined) return undefined;
  return sidecar.ports?.find(({ name }) => name === component.proxy)?.containerPort ?? port.inbound;
}

/** What the container that sets the rules was told: an annotation that came later changes nothing in the pod. */
function skippedPorts(pod: Pod): PortSet {
  const rules = containerNamed(pod, component.redirect);
  const skipped = rules?.env?.find(({ name }) => name === redirectEnv.skipInboundPorts)?.value;
  return parsePortSet(skipped ?? '').ports;
}

function containerNamed(pod: Pod, wanted: string): Container | undefined {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return containers.find(({ name }) => name === wanted);
}

function podOwner(pod: Pod): { kind: string; name: string } | undefined {
  const owner = pod.metadata?.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return undefined;
  const suffix = `-${pod.metadata?.labels?.['pod-template-hash'] ?? ''}`;
  if (owner.kind === 'ReplicaSet' && suffix !== '-' && owner.name.endsWith(suffix)) {
    return { kind: 'deployment', name: owner.name.slice(0, -suffix.length) };
  }
  return { kind: owner.kind.toLowerCase(), name: owner.name };
}

function portNames(containers: readonly Container[]): Map<number, string> {
  const names = new Map<number, string>();
  for (const { containerPort, name } of containers.flatMap((container) => container.ports ?? [])) {
    if (name !== undefined) names.set(containerPort, name);
  }
  return names;
}

/**
 * Keeps of a pod only what `workloadPod` reads. With thousands of pods, specs and statuses are most of what a cache would hold.
 */
export function trimPod(pod: Pod): Pod {
  const meta = pod.metadata ?? {};
  return {
    metadata: {
      ...keepOnly(meta, [
        'name',
        'namespace',
        'uid',
        'resourceVersion',
        'creationTimestamp',
        'labels',
        'ownerReferences',
      ]),
      ...(meta.annotations === undefined ? {} : { annotations: meshAnnotations(meta.annotations) }),
    },
    spec: {
      ...keepOnly(pod.spec ?? { containers: [] }, ['serviceAccountName', 'hostNetwork', 'nodeName']),
      containers: (pod.spec?.containers ?? []).map(trimContainer),
      initContainers: (pod.spec?.initContainers ?? []).map(trimInitContainer),
    },
    status: keepOnly(pod.status ?? {}, ['phase', 'podIP', 'podIPs']),
  };
}

function trimContainer(container: Container): Container {
  return keepOnly(container, ['name', 'ports', 'startupProbe', 'readinessProbe', 'livenessProbe']);
}

function trimInitContainer(container: Container): Container {
  const env = container.env?.filter(({ name }) => name === redirectEnv.skipInboundPorts) ?? [];
  const trimmed = isAppSidecar(container)
    ? { ...trimContainer(container), restartPolicy: 'Always' as const }
    : keepOnly(container, ['name', 'ports']);
  return { ...trimmed, ...(env.length === 0 ? {} : { env }) };
}

function meshAnnotations(annotations: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => /(linkerd\.io|isthmus\.dev)\//.test(key)),
  );
}
