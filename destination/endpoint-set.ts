import type { Service } from '../api/kubernetes-types.ts';
import { annotation, label } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { plainEndpoint, podEndpoint } from './endpoint.ts';
import { samePlace } from './endpoint-place.ts';
import { isOpaquePodPort } from './opaque-ports.ts';
import { isMirror, type Placed, serviceEndpoints } from './service-endpoints.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';

/** One endpoint of a target. */
export interface PlacedEndpoint extends Placed {
  /** A text that differs whenever what clients are told does. */
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
 * `internalTrafficPolicy: Local`. It is about what is sent to the address of the Service: who asks a headless one has
 * chosen a pod. The endpoints of a mirror are gateways of another cluster, on nobody's node.
 */
function isNodeLocal(service: Service): boolean {
  const { internalTrafficPolicy, clusterIP } = service.spec ?? {};
  return internalTrafficPolicy === 'Local' && clusterIP !== 'None' && !isMirror(service);
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
