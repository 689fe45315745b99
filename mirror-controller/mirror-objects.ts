import { isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Service, ServicePort } from '../api/kubernetes-types.ts';
import { annotation, component, label, MAX_SERVICE_NAME_LENGTH, mirrorServiceName } from '../api/names.ts';
import type { LinkSettings } from './link-settings.ts';

/** The gateway of the target as mirrors point at it. */
export interface GatewayView {
  /** IPs. */
  addresses: readonly string[];
  port: number;
  /** Undefined until the first verdict of the probe. */
  alive: boolean | undefined;
}

/** Why an exported service has no mirror; the reasons are Linkerd's where it has one. */
export interface Unmirrored {
  reason: 'InvalidService' | 'MissingNamespace' | 'NameConflict' | 'Error';
  message: string;
}

/** Labels of everything this controller mirrors, so that it never touches what another program mirrored. */
const OWN_LABELS = {
  [label.mirroredService]: 'true',
  [label.managedBy]: component.mirrorController,
} as const;

/** A selector for the mirrors of one target, or of all. */
export function mirrorSelector(target?: string): string {
  const own = Object.entries(OWN_LABELS).map(([key, value]) => `${key}=${value}`);
  return (target === undefined ? own : [...own, `${label.mirrorCluster}=${target}`]).join(',');
}

/** Whether an object is a mirror (of whatever target) that this controller made. */
export function isOwnMirror(object: { metadata?: { labels?: Record<string, string> } }): boolean {
  return Object.entries(OWN_LABELS).every(([key, value]) => object.metadata?.labels?.[key] === value);
}

/** Whether an exported service can be mirrored at all. */
export function serviceProblem(remote: Service, settings: LinkSettings): Unmirrored | undefined {
  const { name = '' } = remote.metadata ?? {};
  const mirror = mirrorServiceName(name, settings.target);
  if (mirror.length > MAX_SERVICE_NAME_LENGTH) {
    const message = `the mirror's name "${mirror}" has ${mirror.length} characters, and a Service may have ${MAX_SERVICE_NAME_LENGTH}: shorten the service's name`;
    return { reason: 'InvalidService', message };
  }
  if (remote.spec?.type === 'ExternalName') {
    return {
      reason: 'InvalidService',
      message: 'a service of type ExternalName has no endpoints that a gateway could reach',
    };
  }
  if ((remote.spec?.ports ?? []).length === 0) {
    return { reason: 'InvalidService', message: 'the service has no ports' };
  }
  return undefined;
}

/** The mirror Service that an exported service should have. */
export function desiredService(remote: Service, settings: LinkSettings): Service {
  const {
    name = '',
    namespace = '',
    labels = {},
    annotations = {},
    resourceVersion = '',
  } = remote.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: mirrorServiceName(name, settings.target),
      namespace,
      labels: {
        ...copied(labels, [...NEVER_COPIED, ...settings.excludedLabels]),
        ...OWN_LABELS,
        [label.mirrorCluster]: settings.target,
      },
      annotations: {
        ...copied(annotations, [...NEVER_COPIED, ...settings.excludedAnnotations]),
        ...opaquePorts(annotations),
        [annotation.remoteFqName]: remoteFqName(name, namespace, settings),
        [annotation.remoteResourceVersion]: resourceVersion,
      },
    },
    spec: { type: 'ClusterIP', ports: (remote.spec?.ports ?? []).map(copiedPort) },
  };
}

/** The EndpointSlices that a mirror should have: one for each address family in use. `hasEndpoints`: the remote service has an endpoint that answers. */
export function desiredSlices(
  mirror: Service,
  settings: LinkSettings,
  gateway: GatewayView,
  hasEndpoints: boolean,
  ready: boolean,
): EndpointSlice[] {
  const v6 = gateway.addresses.filter((a) => isIPv6(a));
  const v4 = gateway.addresses.filter((a) => !isIPv6(a));
  const slices = [slice(mirror, settings, gateway, 'IPv4', hasEndpoints ? v4 : [], ready)];
  if (v6.length > 0) slices.push(slice(mirror, settings, gateway, 'IPv6', hasEndpoints ? v6 : [], ready));
  return slices;
}

/** The live Service brought to its desired form; undefined when it has it. What the API server gave (cluster IP) stays. */
export function correctedService(live: Service, desired: Service): Service | undefined {
  const next: Service = {
    ...live,
    metadata: {
      ...live.metadata,
      labels: desired.metadata?.labels ?? {},
      annotations: desired.metadata?.annotations ?? {},
    },
    spec: { ...live.spec, type: 'ClusterIP', ports: desired.spec?.ports ?? [] },
  };
  delete next.spec?.selector;
  const same =
    isDeepStrictEqual(live.metadata?.labels ?? {}, next.metadata?.labels) &&
    isDeepStrictEqual(live.metadata?.annotations ?? {}, next.metadata?.annotations) &&
    isDeepStrictEqual((live.spec?.ports ?? []).map(copiedPort), desired.spec?.ports) &&
    (live.spec?.type ?? 'ClusterIP') === 'ClusterIP' &&
    Object.keys(live.spec?.selector ?? {}).length === 0;
  return same ? undefined : next;
}

/** The live slice brought to its desired form; undefined when it has it. */
export function correctedSlice(live: EndpointSlice, desired: EndpointSlice): EndpointSlice | undefined {
  const { labels = {}, annotations = {}, ownerReferences = [] } = desired.metadata ?? {};
  const next: EndpointSlice = {
    ...desired,
    metadata: { ...live.metadata, labels, annotations, ownerReferences },
  };
  const same =
    isDeepStrictEqual(live.metadata?.labels ?? {}, labels) &&
    isDeepStrictEqual(live.metadata?.annotations ?? {}, annotations) &&
    live.metadata?.ownerReferences?.[0]?.uid === ownerReferences[0]?.uid &&
    isDeepStrictEqual(essence(live), essence(desired));
  return same ? undefined : next;
}

/** The readiness that a slice was last written with; undefined when it has no endpoint to carry it. */
export function writtenReadiness(slices: readonly EndpointSlice[]): boolean | undefined {
  for (const { endpoints } of slices) {
    const ready = endpoints?.[0]?.conditions?.ready;
    if (ready !== undefined) return ready;
  }
  return undefined;
}

/** `svc.ns.svc.<target's domain>`. */
function remoteFqName(name: string, namespace: string, settings: LinkSettings): string {
  return `${name}.${namespace}.svc.${settings.targetDomain}`;
}

/**
 * Labels and annotations that are no other cluster's affair: how the target's own nodes serve the Service; and by which
 * mark a tool there knows what it has deployed, as the same tool here would delete the mirror as one of its own that it
 * has no manifest for, and the controller make it again, without end.
 */
const NEVER_COPIED: readonly string[] = [
  'mirror.linkerd.io/*',
  'service.kubernetes.io/*',
  'app.kubernetes.io/instance',
  'argocd.argoproj.io/*',
  'kustomize.toolkit.fluxcd.io/*',
  'helm.toolkit.fluxcd.io/*',
  'meta.helm.sh/*',
];

/** @param excluded keys, or all below `prefix/*` */
function copied(all: Record<string, string>, excluded: readonly string[]): Record<string, string> {
  const isExcluded = (key: string): boolean =>
    excluded.some((e) => (e.endsWith('/*') ? key.startsWith(e.slice(0, -1)) : key === e));
  return Object.fromEntries(Object.entries(all).filter(([key]) => !isExcluded(key)));
}

/** Always copied: without them a proxy would wait for a server that speaks first. */
function opaquePorts(annotations: Record<string, string>): Record<string, string> {
  const isOne = (key: string): boolean =>
    key === annotation.opaquePorts || key === annotation.isthmusOpaquePorts;
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => isOne(key)));
}

function copiedPort(port: ServicePort): ServicePort {
  return {
    ...(port.name === undefined ? {} : { name: port.name }),
    protocol: port.protocol ?? 'TCP',
    port: port.port,
    ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
  };
}

function slice(
  mirror: Service,
  settings: LinkSettings,
  gateway: GatewayView,
  addressType: 'IPv4' | 'IPv6',
  addresses: readonly string[],
  ready: boolean,
): EndpointSlice {
  const { name = '', namespace = '', uid = '', annotations } = mirror.metadata ?? {};
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-gateway-${addressType.toLowerCase()}`,
      namespace,
      labels: {
        ...OWN_LABELS,
        [label.mirrorCluster]: settings.target,
        [label.sliceServiceName]: name,
        [label.sliceManagedBy]: component.mirrorController,
      },
      annotations: {
        [annotation.remoteFqName]: annotations?.[annotation.remoteFqName] ?? '',
        [annotation.remoteGatewayIdentity]: settings.gateway.identity,
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid }],
    },
    addressType,
    endpoints: [...addresses].sort().map((address) => ({ addresses: [address], conditions: { ready } })),
    ports: (mirror.spec?.ports ?? []).map((port) => ({
      name: port.name ?? '',
      protocol: port.protocol ?? 'TCP',
      port: gateway.port,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    })),
  };
}

/** What of a slice this controller decides, without what servers default. */
function essence(slice: EndpointSlice): unknown {
  return {
    addressType: slice.addressType,
    endpoints: (slice.endpoints ?? []).map((e) => [e.addresses, e.conditions?.ready]),
    ports: (slice.ports ?? []).map((p) => [p.name ?? '', p.protocol ?? 'TCP', p.port, p.appProtocol]),
  };
}
