import type { ClusterReader } from './cluster-state.ts';
import type { WorkloadContext } from './context-token.ts';
import type { EndpointSet, PlacedEndpoint } from './endpoint-set.ts';

/** Where a client is, as far as it counts; absent: not known. */
export interface ClientPlace {
  readonly zone?: string;
  readonly node?: string;
}

type Endpoints = Extract<EndpointSet, { kind: 'endpoints' }>;

interface Made {
  /** It counts which node a client is on. */
  readonly byNode: boolean;
  readonly sets: Map<string, EndpointSet>;
}

/**
 * What has been made of a set: all clients of a place share it, so that a set is gone through once for each zone (or
 * node, where nodes count) and not for each client.
 */
const made = new WeakMap<EndpointSet, Made>();

/** Where a client is: its node, and the zone of that. */
export function clientPlace(client: WorkloadContext, cluster: ClusterReader): ClientPlace {
  const node = clientNode(client, cluster);
  if (node === undefined) return {};
  const zone = cluster.zoneOfNode(node);
  return zone === undefined ? { node } : { node, zone };
}

/** True when clients in both are told the same. */
export function sameClientPlace(a: ClientPlace, b: ClientPlace): boolean {
  return a.zone === b.zone && a.node === b.node;
}

function clientNode({ namespace, pod, nodeName }: WorkloadContext, cluster: ClusterReader) {
  if (nodeName !== undefined) return nodeName;
  if (namespace === undefined || pod === undefined) return undefined;
  return cluster.pod(namespace, pod)?.nodeName;
}

/**
 * The endpoints of a target as clients in that place are told them, each with the label `zone_locality`, chosen as
 * kube-proxy chooses:
 *
 * - those of the client's node alone, where the Service wants that; all, where it is not known on which node the client is;
 * - of these the ready ones; where there is none, those that are being ended and still answer;
 * - of these, where it was not the node that chose, those that the cluster's hints mean for the client's node, else for
 *   its zone; all, where one has no such hint, or none is meant for it.
 *
 * The same object for the same arguments.
 */
export function endpointsForClient(set: EndpointSet, client: ClientPlace): EndpointSet {
  if (set.kind === 'not-a-service') return set;
  const of = made.get(set) ?? { byNode: nodesCount(set), sets: new Map<string, EndpointSet>() };
  made.set(set, of);
  const key = of.byNode ? `${client.zone ?? ''} ${client.node ?? ''}` : (client.zone ?? '');
  let result = of.sets.get(key);
  if (result === undefined) {
    const chosen = chosenFor(set, client);
    result = { ...set, endpoints: new Map(chosen.map((entry) => labelled(entry, client))) };
    of.sets.set(key, result);
  }
  return result;
}

type Entry = readonly [key: string, entry: PlacedEndpoint];

function nodesCount({ nodeLocal, endpoints }: Endpoints): boolean {
  return nodeLocal || endpoints.values().some(({ place }) => place.forNodes !== undefined);
}

function chosenFor({ nodeLocal, endpoints }: Endpoints, client: ClientPlace): Entry[] {
  const entries = [...endpoints];
  if (!nodeLocal || client.node === undefined) return hinted(ready(entries), client);
  return ready(entries.filter(([, { place }]) => place.node === client.node));
}

function ready(entries: Entry[]): Entry[] {
  const staying = entries.filter(([, { place }]) => place.leaving !== true);
  return staying.length > 0 ? staying : entries;
}

function hinted(entries: Entry[], { node, zone }: ClientPlace): Entry[] {
  return meantFor(entries, 'forNodes', node) ?? meantFor(entries, 'forZones', zone) ?? entries;
}

/** Undefined where the hints do not count. */
function meantFor(
  entries: Entry[],
  hint: 'forNodes' | 'forZones',
  name: string | undefined,
): Entry[] | undefined {
  if (name === undefined || entries.some(([, { place }]) => place[hint] === undefined)) return undefined;
  const meant = entries.filter(([, { place }]) => place[hint]?.includes(name));
  return meant.length > 0 ? meant : undefined;
}

function labelled([key, { endpoint, fingerprint, place }]: Entry, client: ClientPlace): Entry {
  const locality = zoneLocality(place.zone, client.zone);
  const labels = { ...endpoint.labels, zone_locality: locality };
  return [key, { endpoint: { ...endpoint, labels }, fingerprint: `${locality} ${fingerprint}`, place }];
}

/** Linkerd's values of the label. */
function zoneLocality(
  endpoint: string | undefined,
  client: string | undefined,
): 'local' | 'remote' | 'unknown' {
  if (client === undefined || endpoint === undefined) return 'unknown';
  return endpoint === client ? 'local' : 'remote';
}
