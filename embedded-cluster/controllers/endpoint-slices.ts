import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Pod, Service, ServicePort, SliceEndpoint } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import { referenceTo } from '../events.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf, splitKey } from './controller.ts';
import { mapMatches } from '../labels.ts';
import { getAs, listAs } from '../typed-client.ts';

const SLICES = 'endpointslices.discovery.k8s.io';
const MANAGED_BY = 'endpointslice-controller.k8s.io';
const HEADLESS = 'service.kubernetes.io/headless';

type SlicePort = NonNullable<EndpointSlice['ports']>[number];

/**
 * EndpointSlices of Services with a selector. Endpoints whose named ports resolve differently go to different slices; a slice is never split by number,
 * since a cluster has at most 253 pod addresses and a slice takes 1000.
 */
export function endpointSlices(context: ControllerContext): ControllerSpec {
  const { client } = context;

  /** Services that select the pod, and those whose slices still show it: its labels may have changed. */
  const servicesOf = (pod: StoredObject): string[] => {
    const { namespace = '', uid } = pod.metadata;
    const selecting = client
      .list('services', { namespace })
      .items.filter((service) => selectsPod(service as Service, pod))
      .map(keyOf);
    const showing = listAs<EndpointSlice>(client, SLICES, { namespace })
      .filter((slice) => slice.endpoints?.some((endpoint) => endpoint.targetRef?.uid === uid))
      .flatMap(serviceOfSlice);
    return [...selecting, ...showing];
  };

  const zoneOf = (nodeName: string): string | undefined =>
    client.get('nodes', undefined, nodeName)?.metadata.labels?.[label.zone];

  /** Services whose slices say another zone of the node: it tells of itself all the time. */
  const servicesInOldZone = ({ metadata: { name, labels } }: StoredObject): string[] =>
    listAs<EndpointSlice>(client, SLICES)
      .filter((slice) =>
        slice.endpoints?.some(({ nodeName, zone }) => nodeName === name && zone !== labels?.[label.zone]),
      )
      .flatMap(serviceOfSlice);

  return {
    name: 'endpoint-slices',
    sources: [
      { resource: 'services', keys: (service) => [keyOf(service)] },
      { resource: 'pods', keys: servicesOf },
      { resource: 'nodes', keys: servicesInOldZone },
      { resource: SLICES, keys: serviceOfSlice },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const service = getAs<Service>(client, 'services', namespace, name);
      const held = client
        .list(SLICES, {
          namespace,
          labelSelector: `${label.sliceServiceName}=${name},${label.sliceManagedBy}=${MANAGED_BY}`,
        })
        .items.filter((slice) => slice.metadata.deletionTimestamp === undefined);
      // The slices of a deleted service go with their owner.
      if (service === undefined || service.metadata.deletionTimestamp !== undefined) return;
      // Without a selector the slices are others' business; ones of a time when there was a selector stay as they are, as with the real controller.
      if (Object.keys(service.spec?.selector ?? {}).length === 0 || service.spec?.type === 'ExternalName')
        return;
      const pods = client.list('pods', { namespace }).items.filter((pod) => selectsPod(service, pod));
      const wanted = desiredSlices(service, pods, zoneOf);
      await replaceSlices(context, service, held as (StoredObject & EndpointSlice)[], wanted);
    },
  };
}

/** Key of the service of a slice that is this controller's. */
function serviceOfSlice(slice: StoredObject): string[] {
  const service = slice.metadata.labels?.[label.sliceServiceName];
  const ours = slice.metadata.labels?.[label.sliceManagedBy] === MANAGED_BY;
  return ours && service !== undefined ? [`${slice.metadata.namespace ?? ''}/${service}`] : [];
}

type Wanted = { endpoints: SliceEndpoint[]; ports: SlicePort[] };

/** Makes the held slices the wanted ones. One with the same ports stays the same slice, so that watchers see endpoints change, not slices. */
async function replaceSlices(
  { client }: ControllerContext,
  service: StoredObject & Service,
  held: readonly (StoredObject & EndpointSlice)[],
  wanted: readonly Wanted[],
): Promise<void> {
  const free = [...held];
  const pairs = wanted.map((want) => {
    const index = free.findIndex((slice) => isDeepStrictEqual(slice.ports ?? [], want.ports));
    return { want, slice: index === -1 ? undefined : free.splice(index, 1)[0] };
  });
  for (const { want, slice } of pairs) {
    const reused = slice ?? free.shift();
    if (reused === undefined) await client.create(SLICES, newSlice(service, want));
    else if (!isCurrent(reused, service, want)) {
      const metadata = { ...reused.metadata, labels: sliceLabels(service) };
      await client.update(SLICES, { ...reused, ...want, metadata });
    }
  }
  for (const { metadata } of free)
    await ignoring(['NotFound'], () => client.delete(SLICES, metadata.namespace, metadata.name ?? ''));
}

function newSlice(service: StoredObject & Service, want: Wanted): EndpointSlice {
  const { name = '', namespace = '', uid = '' } = service.metadata;
  const owner = { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace,
      generateName: `${name}-`,
      labels: sliceLabels(service),
      ownerReferences: [owner],
    },
    addressType: 'IPv4',
    ...want,
  };
}

function isCurrent(
  slice: StoredObject & EndpointSlice,
  service: StoredObject & Service,
  want: Wanted,
): boolean {
  return (
    isDeepStrictEqual(slice.endpoints ?? [], want.endpoints) &&
    isDeepStrictEqual(slice.ports ?? [], want.ports) &&
    isDeepStrictEqual(slice.metadata.labels, sliceLabels(service))
  );
}

/**
 * The slices that a service is to have: one for each set of resolved ports, an empty one when it has no pods.
 * @param zoneOf the zone of a node
 */
function desiredSlices(
  service: Service,
  pods: readonly Pod[],
  zoneOf: (nodeName: string) => string | undefined,
): Wanted[] {
  const groups = new Map<string, Wanted>();
  const sorted = [...pods].sort((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  for (const pod of sorted) {
    const endpoint = endpointOf(service, pod, zoneOf);
    if (endpoint === undefined) continue;
    const ports = slicePorts(service.spec?.ports ?? [], pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(key, group);
  }
  if (groups.size > 0) return [...groups.values()];
  return [{ ports: [], endpoints: [] }];
}

/** A pod as an endpoint; undefined while it has no address, and when it has ended. */
function endpointOf(
  service: Service,
  pod: Pod,
  zoneOf: (nodeName: string) => string | undefined,
): SliceEndpoint | undefined {
  const { podIP, phase, conditions = [] } = pod.status ?? {};
  if (podIP === undefined || podIP === '' || phase === 'Succeeded' || phase === 'Failed') return undefined;
  const serving = conditions.some((c) => c.type === 'Ready' && c.status === 'True');
  const terminating = pod.metadata?.deletionTimestamp !== undefined;
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  const {
    apiVersion: _,
    resourceVersion: __,
    ...targetRef
  } = referenceTo(pod, { apiVersion: 'v1', kind: 'Pod' });
  return {
    addresses: [podIP],
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && subdomain === service.metadata?.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    targetRef,
  };
}

function slicePorts(ports: readonly ServicePort[], pod: Pod): SlicePort[] {
  return ports.flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    return [
      {
        name: port.name ?? '',
        protocol: port.protocol ?? 'TCP',
        port: number,
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      },
    ];
  });
}

/** The pod's port for a service port; undefined when the pod has none of that name. */
function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars])
    for (const own of container.ports ?? [])
      if (own.name === target && (own.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))
        return own.containerPort;
  return undefined;
}

function sliceLabels(service: StoredObject & Service): Record<string, string> {
  return {
    ...service.metadata.labels,
    [label.sliceServiceName]: service.metadata.name ?? '',
    [label.sliceManagedBy]: MANAGED_BY,
    ...(service.spec?.clusterIP === 'None' ? { [HEADLESS]: '' } : {}),
  };
}

function selectsPod(service: Service, pod: StoredObject): boolean {
  const selector = service.spec?.selector;
  return (
    selector !== undefined && Object.keys(selector).length > 0 && mapMatches(selector, pod.metadata.labels)
  );
}
