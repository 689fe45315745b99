import type { EndpointSlice, Service, ServicePort, SliceEndpoint } from '../api/kubernetes-types.ts';
import { annotation, label } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { type Endpoint, gatewayEndpoint, gatewayOf, plainEndpoint, podEndpoint } from './endpoint.ts';
import { canonicalIp } from './ip-address.ts';
import { isOpaquePodPort, isOpaqueServicePort } from './opaque-ports.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';

/** One endpoint with a text that differs whenever it does. */
export interface FingerprintedEndpoint {
  readonly endpoint: Endpoint;
  readonly fingerprint: string;
}

/** Where a target leads now. Immutable. */
export type EndpointSet =
  | {
      readonly kind: 'endpoints';
      /** False: there is no such Service (yet). */
      readonly exists: boolean;
      /** Labels of all endpoints' metrics. */
      readonly labels: Readonly<Record<string, string>>;
      /** By `ip:port`. */
      readonly endpoints: ReadonlyMap<string, FingerprintedEndpoint>;
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
  if (service === undefined) return { kind: 'endpoints', exists: false, labels: {}, endpoints: new Map() };
  return {
    kind: 'endpoints',
    exists: true,
    labels: serviceLabels(service),
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
): Endpoint {
  const { ip, port } = target;
  const pod = cluster.podByIp(ip);
  if (pod === undefined) return plainEndpoint({ ip, port, opaque: settings.opaquePorts.includes(port) });
  const opaque = isOpaquePodPort(pod, cluster.namespace(pod.namespace), port, settings.opaquePorts, cluster);
  const zone = pod.nodeName === undefined ? undefined : cluster.zoneOfNode(pod.nodeName);
  const endpoint = podEndpoint(pod, { ip, port, opaque, zone }, settings);
  return zone === undefined ? endpoint : { ...endpoint, zone };
}

function serviceLabels(service: Service): Record<string, string> {
  const { name = '', namespace = '', labels = {}, annotations } = service.metadata ?? {};
  const cluster = labels[label.mirrorCluster];
  if (labels[label.mirroredService] !== 'true' || cluster === undefined) return { namespace, service: name };
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

interface ServiceContext {
  target: ServiceTarget;
  cluster: ClusterReader;
  settings: DestinationSettings;
  mirror: boolean;
  /** The Service's own annotation or its namespace's says so, whatever the pods say. */
  opaque: boolean;
}

function serviceEndpoints(
  target: ServiceTarget,
  service: Service,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Endpoint[] {
  const { namespace, name, port } = target;
  const slices = primaryFamily(cluster.slices(namespace, name), service);
  const context: ServiceContext = {
    target,
    cluster,
    settings,
    mirror: service.metadata?.labels?.[label.mirroredService] === 'true',
    opaque: isOpaqueServicePort(service, cluster.namespace(namespace), port, settings.opaquePorts),
  };
  return slices.flatMap((slice) => {
    const targetPort = slicePort(slice, service, port);
    if (targetPort === undefined) return [];
    return (slice.endpoints ?? [])
      .filter(
        (entry) => isReady(entry) && (target.hostname === undefined || entry.hostname === target.hostname),
      )
      .flatMap((entry) =>
        entry.addresses.map((address) => sliceEndpoint(slice, entry, address, targetPort, context)),
      )
      .filter((endpoint) => endpoint !== undefined);
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

/** Absent means ready (KEP-752). */
function isReady(entry: SliceEndpoint): boolean {
  return entry.conditions?.ready !== false;
}

/** The port to dial: the slice says it by the name of the Service's port. A headless Service can be asked for any port, as its DNS name can. */
function slicePort(slice: EndpointSlice, service: Service, port: number): number | undefined {
  const servicePort = service.spec?.ports?.find((entry) => entry.port === port && isTcp(entry));
  if (servicePort === undefined) return service.spec?.clusterIP === 'None' ? port : undefined;
  const name = servicePort.name ?? '';
  return slice.ports?.find((entry) => (entry.name ?? '') === name)?.port;
}

function isTcp(port: ServicePort): boolean {
  return (port.protocol ?? 'TCP') === 'TCP';
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
  const place = placeOf(entry);
  if (pod === undefined) return { ...plainEndpoint({ ip, port, opaque: context.opaque }), ...place };
  const namespace = cluster.namespace(pod.namespace);
  const opaque = context.opaque || isOpaquePodPort(pod, namespace, port, settings.opaquePorts, cluster);
  return { ...podEndpoint(pod, { ip, port, opaque, zone: entry.zone }, settings), ...place };
}

/** Where it is and whom it is for: of endpoints of the own cluster alone, since another's zones are its own. */
function placeOf({ zone, hints }: SliceEndpoint): Pick<Endpoint, 'zone' | 'forZones'> {
  const forZones = hints?.forZones?.map(({ name }) => name) ?? [];
  return {
    ...(zone === undefined ? {} : { zone }),
    ...(forZones.length === 0 ? {} : { forZones }),
  };
}

function slicePod(slice: EndpointSlice, entry: SliceEndpoint, cluster: ClusterReader) {
  const { kind, name, namespace = slice.metadata?.namespace ?? '' } = entry.targetRef ?? {};
  return kind === 'Pod' && name !== undefined ? cluster.pod(namespace, name) : undefined;
}

/** An address that two slices name at once (while it moves between them) counts once. */
function keyed(endpoints: readonly Endpoint[]): Map<string, FingerprintedEndpoint> {
  const map = new Map<string, FingerprintedEndpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.ip}:${endpoint.port}`;
    if (!map.has(key)) map.set(key, { endpoint, fingerprint: JSON.stringify(endpoint) });
  }
  return map;
}

/** True when a subscriber need not hear of the step from one to the other. */
export function sameEndpointSet(a: EndpointSet, b: EndpointSet): boolean {
  if (a.kind === 'not-a-service' || b.kind === 'not-a-service') return a.kind === b.kind;
  if (a.exists !== b.exists || a.endpoints.size !== b.endpoints.size) return false;
  if (JSON.stringify(a.labels) !== JSON.stringify(b.labels)) return false;
  for (const [key, { fingerprint }] of a.endpoints) {
    if (b.endpoints.get(key)?.fingerprint !== fingerprint) return false;
  }
  return true;
}
