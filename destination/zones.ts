import type { WorkloadContext } from './context-token.ts';
import type { ClusterReader } from './cluster-state.ts';
import type { EndpointSet, FingerprintedEndpoint } from './endpoint-set.ts';

/** What has been made of a set, by zone: all clients of a zone share it, so that a set is gone through once for each zone and not for each client. */
const made = new WeakMap<EndpointSet, Map<string, EndpointSet>>();

/** No name of a zone is empty: a label without a value says nothing. */
const UNKNOWN = '';

/** The zone that a client is in; undefined where its node, or the zone of that, is not known. */
export function clientZone(client: WorkloadContext, cluster: ClusterReader): string | undefined {
  const { namespace, pod, nodeName } = client;
  if (nodeName !== undefined) return cluster.zoneOfNode(nodeName);
  if (namespace === undefined || pod === undefined) return undefined;
  const node = cluster.pod(namespace, pod)?.nodeName;
  return node === undefined ? undefined : cluster.zoneOfNode(node);
}

/**
 * The endpoints of a target as clients in that zone are told them: only those that the cluster's hints mean for the zone, each with the label
 * `zone_locality`. Hints count as kube-proxy takes them: where one endpoint has none, or none is for the zone, all endpoints are for everybody.
 * The same object for the same arguments.
 */
export function endpointsForZone(set: EndpointSet, zone: string = UNKNOWN): EndpointSet {
  if (set.kind === 'not-a-service') return set;
  const byZone = made.get(set) ?? new Map<string, EndpointSet>();
  made.set(set, byZone);
  let result = byZone.get(zone);
  if (result === undefined) {
    const endpoints = [...hinted([...set.endpoints], zone)].map(([key, entry]) => labelled(key, entry, zone));
    result = { ...set, endpoints: new Map(endpoints) };
    byZone.set(zone, result);
  }
  return result;
}

type Entry = [key: string, entry: FingerprintedEndpoint];

function hinted(entries: Entry[], zone: string): Entry[] {
  if (zone === UNKNOWN || entries.some(([, { endpoint }]) => endpoint.forZones === undefined)) return entries;
  const meant = entries.filter(([, { endpoint }]) => endpoint.forZones?.includes(zone));
  return meant.length > 0 ? meant : entries;
}

function labelled(key: string, { endpoint, fingerprint }: FingerprintedEndpoint, zone: string): Entry {
  const locality = zoneLocality(endpoint.zone, zone);
  const labels = { ...endpoint.labels, zone_locality: locality };
  return [key, { endpoint: { ...endpoint, labels }, fingerprint: `${locality} ${fingerprint}` }];
}

/** Linkerd's values of the label. */
function zoneLocality(endpoint: string | undefined, client: string): 'local' | 'remote' | 'unknown' {
  if (client === UNKNOWN || endpoint === undefined) return 'unknown';
  return endpoint === client ? 'local' : 'remote';
}
