import type { EndpointSlice, Service, SliceEndpoint } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { type Endpoint, gatewayEndpoint, gatewayOf, plainEndpoint, podEndpoint } from './endpoint.ts';
import { type EndpointPlace, placeOf } from './endpoint-place.ts';
import { canonicalIp } from './ip-address.ts';
import { isOpaquePodPort, isOpaqueServicePort } from './opaque-ports.ts';
import { declaredProtocol, servicePort } from './service-port.ts';
import type { DestinationSettings } from './settings.ts';
import type { ServiceTarget } from './target.ts';

/** An endpoint, and for whom it is. */
export interface Placed {
  /** What clients are told of it. */
  readonly endpoint: Endpoint;
  /** What decides which of them are told. */
  readonly place: EndpointPlace;
}

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

/** The endpoints of a Service's port, from its EndpointSlices; one that two slices name is there twice. */
export function serviceEndpoints(
  target: ServiceTarget,
  service: Service,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Placed[] {
  const { namespace, name, port } = target;
  const context: ServiceContext = {
    target,
    cluster,
    settings,
    mirror: isMirror(service),
    opaque: isOpaqueServicePort(service, cluster.namespace(namespace), port, settings.opaquePorts),
    opaquePodPorts: declaredProtocol(service, port) === 'http' ? [] : settings.opaquePorts,
  };
  return oncePerPod(cluster.slices(namespace, name), service).flatMap(({ slice, entry }) => {
    const targetPort = slicePort(slice, service, port);
    if (targetPort === undefined) return [];
    if (target.hostname !== undefined && entry.hostname !== target.hostname) return [];
    return sliceEndpoints(slice, entry, targetPort, context);
  });
}

interface SliceEntry {
  readonly slice: EndpointSlice;
  readonly entry: SliceEndpoint;
}

/**
 * A dual-stack Service has each pod twice; one family is enough, and the Service's first is the one it prefers. A pod
 * without an address of that family is told by its other; so are endpoints without a pod if none is of the first.
 */
function oncePerPod(slices: readonly EndpointSlice[], service: Service): SliceEntry[] {
  const preferred = service.spec?.ipFamilies?.[0] ?? 'IPv4';
  const other = preferred === 'IPv4' ? 'IPv6' : 'IPv4';
  const first = entriesOf(slices, preferred);
  const second = entriesOf(slices, other);
  if (first.length === 0 || second.length === 0) return [...first, ...second];
  const told = new Set(first.map(({ entry }) => entry.targetRef?.name));
  return [
    ...first,
    ...second.filter(({ entry: { targetRef } }) => targetRef !== undefined && !told.has(targetRef.name)),
  ];
}

function entriesOf(slices: readonly EndpointSlice[], family: string): SliceEntry[] {
  return slices
    .filter(({ addressType }) => addressType === family)
    .flatMap((slice) => (slice.endpoints ?? []).map((entry) => ({ slice, entry })));
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

/** Another cluster's Service, as a mirror controller wrote it here. */
export function isMirror(service: Service): boolean {
  return service.metadata?.labels?.[label.mirroredService] === 'true';
}
