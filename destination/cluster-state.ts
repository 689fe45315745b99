import type { EndpointSlice, Namespace, Pod, Service } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import { canonicalIp } from './ip-address.ts';
import { type PolicyKind, type PolicyKinds, POLICY_KINDS, policyKinds } from './policy/kinds.ts';
import { ObjectIndex } from './policy/object-index.ts';
import { type WorkloadPod, workloadPod } from './workload-pod.ts';

/** What a computation read: it must run again when one of these changes. */
export type Topic = string;

/**
 * The objects of the cluster as computations read them. Every read is recorded, so a computation depends on exactly what it looked at,
 * also on what was not there.
 */
export interface ClusterReader {
  service(namespace: string, name: string): Service | undefined;
  /** All Services. */
  services(): Iterable<Service>;
  /** The Service whose ClusterIP this is. */
  serviceByIp(ip: string): Service | undefined;
  /** EndpointSlices of a Service, in the order of their names. */
  slices(namespace: string, service: string): EndpointSlice[];
  pod(namespace: string, name: string): WorkloadPod | undefined;
  /** The living pod that holds the address as its own (not its node's). */
  podByIp(ip: string): WorkloadPod | undefined;
  namespace(name: string): Namespace | undefined;
  zoneOfNode(name: string): string | undefined;
  policy<K extends PolicyKind>(kind: K, namespace: string, name: string): PolicyKinds[K] | undefined;
  /** By one of the kind's terms (`policy/kinds.ts`), in the order of their keys. */
  policies<K extends PolicyKind>(kind: K, term: string): PolicyKinds[K][];
  /** All of a kind, in the order of their keys. */
  allPolicies<K extends PolicyKind>(kind: K): PolicyKinds[K][];
}

type PolicyIndexes = { readonly [K in PolicyKind]: ObjectIndex<PolicyKinds[K]> };

/** Everything the control plane knows of its cluster, in memory, with the indexes that targets are found by. Filled by `watch-cluster.ts`. */
export class ClusterState {
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #sliceOwners = new Map<string, string>();
  readonly #pods = new Map<string, WorkloadPod>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #zones = new Map<string, string>();
  readonly #podsByIp = new Map<string, Map<string, WorkloadPod>>();
  readonly #servicesByIp = new Map<string, Map<string, Service>>();
  readonly #policies = policyIndexes();
  readonly #changed: (topic: Topic) => void;

  /** @param changed is called with each topic that may read differently from now on */
  constructor(changed: (topic: Topic) => void) {
    this.#changed = changed;
  }

  /** Adds, replaces or (undefined) removes. */
  setService(key: string, service: Service | undefined): void {
    const before = this.#services.get(key);
    put(this.#services, key, service);
    const ips = new Set([...serviceIps(before), ...serviceIps(service)]);
    for (const ip of serviceIps(before)) indexed(this.#servicesByIp, ip, key, undefined);
    for (const ip of serviceIps(service)) indexed(this.#servicesByIp, ip, key, service);
    this.#changed(`service:${key}`);
    this.#changed('services');
    for (const ip of ips) this.#changed(`service-ip:${ip}`);
  }

  setSlice(key: string, slice: EndpointSlice | undefined): void {
    const before = this.#sliceOwners.get(key);
    const owner = slice === undefined ? undefined : sliceOwner(slice);
    if (before !== undefined) indexed(this.#slices, before, key, undefined);
    if (owner !== undefined && slice !== undefined) indexed(this.#slices, owner, key, slice);
    put(this.#sliceOwners, key, owner);
    for (const service of new Set([before, owner])) {
      if (service !== undefined) this.#changed(`slices:${service}`);
    }
  }

  setPod(key: string, pod: Pod | undefined): void {
    const before = this.#pods.get(key);
    const after = pod === undefined ? undefined : workloadPod(pod);
    put(this.#pods, key, after);
    const ips = new Set([...podIps(before), ...podIps(after)]);
    for (const ip of podIps(before)) indexed(this.#podsByIp, ip, key, undefined);
    if (after !== undefined) for (const ip of podIps(after)) indexed(this.#podsByIp, ip, key, after);
    this.#changed(`pod:${key}`);
    for (const ip of ips) this.#changed(`pod-ip:${ip}`);
  }

  setNamespace(name: string, namespace: Namespace | undefined): void {
    put(this.#namespaces, name, namespace);
    this.#changed(`namespace:${name}`);
  }

  /** Nodes tell of themselves all the time: nothing changes unless the zone does. */
  setZone(node: string, zone: string | undefined): void {
    if (this.#zones.get(node) === zone) return;
    put(this.#zones, node, zone);
    this.#changed(`zone:${node}`);
  }

  setPolicy<K extends PolicyKind>(kind: K, key: string, object: PolicyKinds[K] | undefined): void {
    const terms = this.#policies[kind].set(key, object);
    this.#changed(`${kind}:${key}`);
    this.#changed(kind);
    for (const term of terms) this.#changed(`${kind} by ${term}`);
  }

  /** A reader that reports every topic it looks at to `use`. */
  reader(use: (topic: Topic) => void): ClusterReader {
    return {
      service: (namespace, name) => {
        use(`service:${namespace}/${name}`);
        return this.#services.get(`${namespace}/${name}`);
      },
      services: () => {
        use('services');
        return this.#services.values();
      },
      serviceByIp: (ip) => {
        use(`service-ip:${ip}`);
        return first(this.#servicesByIp.get(ip));
      },
      slices: (namespace, service) => {
        use(`slices:${namespace}/${service}`);
        const slices = [...(this.#slices.get(`${namespace}/${service}`) ?? [])];
        return slices.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, slice]) => slice);
      },
      pod: (namespace, name) => {
        use(`pod:${namespace}/${name}`);
        return this.#pods.get(`${namespace}/${name}`);
      },
      podByIp: (ip) => {
        use(`pod-ip:${ip}`);
        return newest(this.#podsByIp.get(ip));
      },
      namespace: (name) => {
        use(`namespace:${name}`);
        return this.#namespaces.get(name);
      },
      zoneOfNode: (name) => {
        use(`zone:${name}`);
        return this.#zones.get(name);
      },
      policy: (kind, namespace, name) => {
        use(`${kind}:${namespace}/${name}`);
        return this.#policies[kind].get(`${namespace}/${name}`);
      },
      policies: (kind, term) => {
        use(`${kind} by ${term}`);
        return this.#policies[kind].byTerm(term);
      },
      allPolicies: (kind) => {
        use(kind);
        return this.#policies[kind].all();
      },
    };
  }
}

function policyIndexes(): PolicyIndexes {
  const entries = POLICY_KINDS.map((kind) => {
    const { terms } = policyKinds[kind] as { terms: (object: object) => readonly string[] };
    return [kind, new ObjectIndex(terms)];
  });
  return Object.fromEntries(entries) as PolicyIndexes;
}

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function indexed<V>(
  index: Map<string, Map<string, V>>,
  term: string,
  key: string,
  value: V | undefined,
): void {
  const entries = index.get(term) ?? new Map<string, V>();
  put(entries, key, value);
  put(index, term, entries.size === 0 ? undefined : entries);
}

function first<V>(entries: Map<string, V> | undefined): V | undefined {
  return entries?.values().next().value;
}

/** An address is used again after a pod's end: of several holders the last made counts. */
function newest(pods: Map<string, WorkloadPod> | undefined): WorkloadPod | undefined {
  if (pods === undefined) return undefined;
  return [...pods.values()].reduce((a, b) => (b.createdAt >= a.createdAt ? b : a));
}

function serviceIps(service: Service | undefined): string[] {
  const spec = service?.spec;
  const ips = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return ips.map((ip) => canonicalIp(ip)).filter((ip) => ip !== undefined);
}

function podIps(pod: WorkloadPod | undefined): readonly string[] {
  return pod === undefined || pod.ended || pod.hostNetwork ? [] : pod.ips;
}

function sliceOwner(slice: EndpointSlice): string | undefined {
  const service = slice.metadata?.labels?.[label.sliceServiceName];
  return service === undefined ? undefined : `${slice.metadata?.namespace ?? ''}/${service}`;
}
