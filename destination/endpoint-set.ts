import type { EndpointSlice, Service, SliceEndpoint } from '../api/kubernetes-types.ts';
import { annotation, label } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { type Endpoint, gatewayEndpoint, gatewayOf, plainEndpoint, podEndpoint } from './endpoint.ts';
import { type EndpointPlace, placeOf, samePlace } from './endpoint-place.ts';
import { canonicalIp } from './ip-address.ts';
import { isOpaquePodPort, isOpaqueServicePort } from './opaque-ports.ts';
import { declaredProtocol, servicePort } from './service-port.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';

/** One endpoint of a target. */
export interface PlacedEndpoint {
  /** What clients are told of it. */
  readonly endpoint: Endpoint;
  /** A text that differs whenever what they are told does. */
  readonly fingerprint: string;
  /** What decides which of them are told. */
  readonly place: EndpointPlace;
}

/** Where a target leads now. Immutable. */
export type EndpointSet =
  | {
      readonly kind: 'endpoints';
      /** False: there is no such Service (yet). */
      readonly exists: boolean;
      /** Labels of all endpoints' metrics. */
      readonly labels: Readonly<Record<string, string>>;
      /** Each endpoint is for clients of its own node alone. */
      readonly nodeLocal: boolean;
      /** By `ip:port`. */
      readonly endpoints: ReadonlyMap<string, PlacedEndpoint>;
    }
  | { readonly kind: 'not-a-service'; readonly reason: string };

/** The endpoints of a target, from what the cluster says now. */
export function endpointSet(
  target: ServiceTarget | AddressTarget,
  cluster: ClusterReader,
  settings: DestinationSettings,
): EndpointSet {
  if (target.kind === 'address') return addressSet(target, cluster, settings);
  const service = cluster.service(target.namespace, target.name);
  const refused = notAService(target, service, cluster);
  if (refused !== undefined) return { kind: 'not-a-service', reason: refused };
  if (service === undefined) {
    return { kind: 'endpoints', exists: false, labels: {}, nodeLocal: false, endpoints: new Map() };
  }
  return {
    kind: 'endpoints',
    exists: true,
    labels: serviceLabels(service),
    nodeLocal: isNodeLocal(service),
    endpoints: keyed(serviceEndpoints(target, service, cluster, settings)),
  };
}

/** Why a name leads to no Service that could ever be served; undefined when it does or may yet. */
export function notAService(
  target: ServiceTarget,
  service: Service | undefined,
  cluster: ClusterReader,
): string | undefined {
  if (service?.spec?.type === 'ExternalName') {
    return `Service ${target.namespace}/${target.name} is of type ExternalName: it has no endpoints`;
  }
  if (service !== undefined || target.certain || cluster.namespace(target.namespace) !== undefined) {
    return undefined;
  }
  return `"${target.name}.${target.namespace}" does not name a Service: there is no namespace ${target.namespace}`;
}

/** The endpoint behind a bare address: a Service's, a pod's, or the address itself. */
function addressSet(
  target: AddressTarget,
  cluster: ClusterReader,
  settings: DestinationSettings,
): EndpointSet {
  const service = serviceOfAddress(target, cluster);
  if (service !== undefined) return endpointSet(service, cluster, settings);
  return {
    kind: 'endpoints',
    exists: true,
    labels: {},
    nodeLocal: false,
    endpoints: keyed([addressEndpoint(target, cluster, settings)]),
  };
}

/** The Service that has the address as its ClusterIP. */
export function serviceOfAddress(target: AddressTarget, cluster: ClusterReader): ServiceTarget | undefined {
  const { name, namespace } = cluster.serviceByIp(target.ip)?.metadata ?? {};
  if (name === undefined || namespace === undefined) return undefined;
  return { kind: 'service', name, namespace, port: target.port, certain: true };
}

/** The address as an endpoint: with its pod's identity where a pod of the cluster holds it. */
export function addressEndpoint(
  target: AddressTarget,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Placed {
  const { ip, port } = target;
  const pod = cluster.podByIp(ip);
  if (pod === undefined) {
    return { endpoint: plainEndpoint({ ip, port, opaque: settings.opaquePorts.includes(port) }), place: {} };
  }
  const opaque = isOpaquePodPort(pod, cluster.namespace(pod.namespace), port, settings.opaquePorts, cluster);
  const zone = pod.nodeName === undefined ? undefined : cluster.zoneOfNode(pod.nodeName);
  const endpoint = podEndpoint(pod, { ip, port, opaque, zone }, settings);
  return { endpoint, place: zone === undefined ? {} : { zone } };
}

/**
 * `internalTrafficPolicy: Local`. It is about what is sent to the address of the Service: who asks a headless one has chosen a pod. The endpoints of a mirror are
 * gateways of another cluster, on nobody's node.
 */
function isNodeLocal(service: Service): boolean {
  const { internalTrafficPolicy, clusterIP } = service.spec ?? {};
  return internalTrafficPolicy === 'Local' && clusterIP !== 'None' && !isMirror(service);
}

function isMirror(service: Service): boolean {
  return service.metadata?.labels?.[label.mirroredService] === 'true';
}

function serviceLabels(service: Service): Record<string, string> {
  const { name = '', namespace = '', labels = {}, annotations } = service.metadata ?? {};
  const cluster = labels[label.mirrorCluster];
  if (!isMirror(service) || cluster === undefined) return { namespace, service: name };
  const [targetService = '', targetNamespace = namespace] =
    annotations?.[annotation.remoteFqName]?.split('.') ?? [];
  return {
    namespace,
    service: name,
    target_cluster: cluster,
    target_service: targetService,
    target_service_namespace: targetNamespace,
  };
}

/** An endpoint before it is known whether another slice has it, too. */
type Placed = Pick<PlacedEndpoint, 'endpoint' | 'place'>;

interface ServiceContext {
  target: ServiceTarget;
  cluster: ClusterReader;
  settings: DestinationSettings;
  mirror: boolean;
  /** The Service's port, its own annotation or its namespace's says so, whatever the pods say. */
  opaque: boolean;
  /** Of pods that name none: the mesh's, unless the Service's port is said to be HTTP. */
  opaquePodPorts: readonly number[];
}

function serviceEndpoints(
  target: ServiceTarget,
  service: Service,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Placed[] {
  const { namespace, name, port } = target;
  const slices = primaryFamily(cluster.slices(namespace, name), service);
  const context: ServiceContext = {
    target,
    cluster,
    settings,
    mirror: isMirror(service),
    opaque: isOpaqueServicePort(service, cluster.namespace(namespace), port, settings.opaquePorts),
    opaquePodPorts: declaredProtocol(service, port) === 'http' ? [] : settings.opaquePorts,
  };
  return slices.flatMap((slice) => {
    const targetPort = slicePort(slice, service, port);
    if (targetPort === undefined) return [];
    return (slice.endpoints ?? [])
      .filter(({ hostname }) => target.hostname === undefined || hostname === target.hostname)
      .flatMap((entry) => sliceEndpoints(slice, entry, targetPort, context));
  });
}

/** A dual-stack Service has each pod twice; one family is enough, and the Service's first is the one it prefers. */
function primaryFamily(slices: readonly EndpointSlice[], service: Service): EndpointSlice[] {
  const preferred = service.spec?.ipFamilies?.[0] ?? 'IPv4';
  const other = preferred === 'IPv4' ? 'IPv6' : 'IPv4';
  const of = (family: string): EndpointSlice[] => slices.filter(({ addressType }) => addressType === family);
  const chosen = of(preferred);
  return chosen.length > 0 ? chosen : of(other);
}

/** The port to dial: the slice says it by the name of the Service's port. A headless Service can be asked for any port, as its DNS name can. */
function slicePort(slice: EndpointSlice, service: Service, port: number): number | undefined {
  const named = servicePort(service, port);
  if (named === undefined) return service.spec?.clusterIP === 'None' ? port : undefined;
  const name = named.name ?? '';
  return slice.ports?.find((entry) => (entry.name ?? '') === name)?.port;
}

function sliceEndpoints(
  slice: EndpointSlice,
  entry: SliceEndpoint,
  port: number,
  context: ServiceContext,
): Placed[] {
  const placed = placeOf(entry);
  if (placed === undefined) return [];
  // Another cluster's zones and nodes are its own.
  const place = context.mirror ? {} : placed;
  return entry.addresses
    .map((address) => sliceEndpoint(slice, entry, address, port, context))
    .filter((endpoint) => endpoint !== undefined)
    .map((endpoint) => ({ endpoint, place }));
}

function sliceEndpoint(
  slice: EndpointSlice,
  entry: SliceEndpoint,
  address: string,
  port: number,
  context: ServiceContext,
): Endpoint | undefined {
  const ip = canonicalIp(address);
  if (ip === undefined) return undefined;
  const { cluster, settings, target } = context;
  if (context.mirror) {
    const gateway = gatewayOf(slice.metadata?.annotations);
    // Without the gateway's identity nothing could tell it from an impostor.
    if (gateway === undefined) return undefined;
    const { fqName, identity } = gateway;
    return gatewayEndpoint({
      ip,
      port,
      identity,
      authority: `${fqName}:${target.port}`,
      opaque: context.opaque,
    });
  }
  const pod = slicePod(slice, entry, cluster);
  if (pod === undefined) return plainEndpoint({ ip, port, opaque: context.opaque });
  const namespace = cluster.namespace(pod.namespace);
  const opaque = context.opaque || isOpaquePodPort(pod, namespace, port, context.opaquePodPorts, cluster);
  return podEndpoint(pod, { ip, port, opaque, zone: entry.zone }, settings);
}

function slicePod(slice: EndpointSlice, entry: SliceEndpoint, cluster: ClusterReader) {
  const { kind, name, namespace = slice.metadata?.namespace ?? '' } = entry.targetRef ?? {};
  return kind === 'Pod' && name !== undefined ? cluster.pod(namespace, name) : undefined;
}

/** An address that two slices name at once (while it moves between them) counts once, as ready where one of them says so. */
function keyed(endpoints: readonly Placed[]): Map<string, PlacedEndpoint> {
  const map = new Map<string, PlacedEndpoint>();
  for (const { endpoint, place } of endpoints) {
    const key = `${endpoint.ip}:${endpoint.port}`;
    const known = map.get(key);
    if (known !== undefined && (known.place.leaving !== true || place.leaving === true)) continue;
    map.set(key, { endpoint, fingerprint: JSON.stringify(endpoint), place });
  }
  return map;
}

/** True when no subscriber, wherever it is, need hear of the step from one to the other. */
export function sameEndpointSet(a: EndpointSet, b: EndpointSet): boolean {
  if (a.kind === 'not-a-service' || b.kind === 'not-a-service') return a.kind === b.kind;
  if (a.exists !== b.exists || a.nodeLocal !== b.nodeLocal || a.endpoints.size !== b.endpoints.size) {
    return false;
  }
  if (JSON.stringify(a.labels) !== JSON.stringify(b.labels)) return false;
  for (const [key, { fingerprint, place }] of a.endpoints) {
    const other = b.endpoints.get(key);
    if (other?.fingerprint !== fingerprint || !samePlace(other.place, place)) return false;
  }
  return true;
}
