import type { EndpointSlice, Service, SliceEndpoint } from '../../api/kubernetes-types.ts';
import { DEFAULT_CLUSTER_DOMAIN, label } from '../../api/names.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import { getAs } from '../typed-client.ts';

/** A resource record of an answer, by type; names without a final dot. */
export type DnsRecord =
  | { type: 'A'; name: string; data: string }
  | { type: 'CNAME'; name: string; data: string }
  | { type: 'SRV'; name: string; data: { priority: number; weight: number; port: number; target: string } };

/** `nodata`: the name exists, but has no record of the type. `refused`: the name is none of the cluster's. */
export type DnsAnswer =
  | { kind: 'records'; answers: DnsRecord[]; additionals: DnsRecord[] }
  | { kind: 'nodata' }
  | { kind: 'nxdomain' }
  | { kind: 'refused' };

const SLICES = 'endpointslices.discovery.k8s.io';
const NODATA: DnsAnswer = { kind: 'nodata' };
const NXDOMAIN: DnsAnswer = { kind: 'nxdomain' };

/**
 * Answers a question by Kubernetes' DNS specification, with this difference: the A records of a Service with a ClusterIP are its ready endpoints'
 * addresses, as for a headless one, since no ClusterIP is dialled here.
 */
export function resolve(client: LoopbackClient, question: { name: string; type: string }): DnsAnswer {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  if (name === DEFAULT_CLUSTER_DOMAIN) return NODATA;
  if (!name.endsWith(`.${DEFAULT_CLUSTER_DOMAIN}`)) return { kind: 'refused' };
  const labels = name.slice(0, -DEFAULT_CLUSTER_DOMAIN.length - 1).split('.');
  const zone = labels.at(-1);
  if (zone === 'svc') return serviceName(client, name, question.type, labels.slice(0, -1));
  if (zone === 'pod') return podName(client, name, question.type, labels.slice(0, -1));
  return NXDOMAIN;
}

function serviceName(client: LoopbackClient, name: string, type: string, labels: string[]): DnsAnswer {
  const namespace = labels.at(-1);
  if (namespace === undefined) return NODATA;
  const serviceLabel = labels.at(-2);
  if (serviceLabel === undefined)
    return client.get('namespaces', undefined, namespace) === undefined ? NXDOMAIN : NODATA;
  const service = getAs<Service>(client, 'services', namespace, serviceLabel);
  if (service === undefined) return NXDOMAIN;
  const inner = labels.slice(0, -2);
  if (service.spec?.type === 'ExternalName') {
    if (inner.length > 0) return NXDOMAIN;
    const record: DnsRecord = { type: 'CNAME', name, data: service.spec.externalName ?? '' };
    return { kind: 'records', answers: [record], additionals: [] };
  }
  const found = endpointsOf(client, service);
  const [first = '', second = ''] = inner;
  if (inner.length === 0)
    return addresses(
      name,
      type,
      found.map((f) => f.endpoint),
    );
  if (inner.length === 1 && first.startsWith('_'))
    return servicePorts(service).some((port) => first === `_${port.protocol}`) ? NODATA : NXDOMAIN;
  if (inner.length === 2 && second.startsWith('_'))
    return portRecords(service, found, name, type, first.slice(1), second.slice(1));
  if (inner.length > 1) return NXDOMAIN;
  const named = found.map((f) => f.endpoint).filter((endpoint) => hostLabel(endpoint) === first);
  return named.length === 0 ? NXDOMAIN : addresses(name, type, named);
}

/** `_port._protocol.service`: where each endpoint serves the named port. */
function portRecords(
  service: StoredObject & Service,
  found: readonly Found[],
  name: string,
  type: string,
  portName: string,
  protocol: string,
): DnsAnswer {
  if (!servicePorts(service).some((port) => port.name === portName && port.protocol === protocol))
    return NXDOMAIN;
  const base = `${service.metadata.name ?? ''}.${service.metadata.namespace ?? ''}.svc.${DEFAULT_CLUSTER_DOMAIN}`;
  const answers: DnsRecord[] = [];
  const additionals: DnsRecord[] = [];
  for (const { endpoint, ports } of found) {
    const port = ports.find((p) => (p.name ?? '') === portName)?.port;
    if (port === undefined) continue;
    const target = `${hostLabel(endpoint)}.${base}`;
    answers.push({ type: 'SRV', name, data: { priority: 0, weight: 100, port, target } });
    for (const address of endpoint.addresses) additionals.push({ type: 'A', name: target, data: address });
  }
  return type === 'SRV' && answers.length > 0 ? { kind: 'records', answers, additionals } : NODATA;
}

function servicePorts(service: Service): { name: string; protocol: string }[] {
  return (service.spec?.ports ?? []).map((port) => ({
    name: port.name ?? '',
    protocol: (port.protocol ?? 'TCP').toLowerCase(),
  }));
}

interface Found {
  endpoint: SliceEndpoint;
  ports: NonNullable<EndpointSlice['ports']>;
}

/** Ready endpoints of a service, each once, with the ports of its slice. */
function endpointsOf(client: LoopbackClient, service: StoredObject): Found[] {
  const slices = client.list(SLICES, {
    namespace: service.metadata.namespace ?? '',
    labelSelector: `${label.sliceServiceName}=${service.metadata.name ?? ''}`,
  }).items as (StoredObject & EndpointSlice)[];
  return slices
    .filter((slice) => slice.addressType === 'IPv4')
    .flatMap((slice) =>
      (slice.endpoints ?? [])
        .filter((endpoint) => endpoint.conditions?.ready !== false)
        .map((endpoint) => ({ endpoint, ports: slice.ports ?? [] })),
    );
}

/** An endpoint's own label below its service: its hostname, or its address with hyphens. */
function hostLabel(endpoint: SliceEndpoint): string {
  return endpoint.hostname ?? (endpoint.addresses[0] ?? '').replaceAll('.', '-');
}

function addresses(name: string, type: string, endpoints: readonly SliceEndpoint[]): DnsAnswer {
  const unique = new Set(endpoints.flatMap((endpoint) => endpoint.addresses));
  if (type !== 'A' || unique.size === 0) return NODATA;
  const answers = [...unique].map((data): DnsRecord => ({ type: 'A', name, data }));
  return { kind: 'records', answers, additionals: [] };
}

/** `127-64-0-5.<namespace>.pod`: the address of a pod that has it. */
function podName(client: LoopbackClient, name: string, type: string, labels: string[]): DnsAnswer {
  const [host = '', namespace] = labels;
  if (labels.length === 0) return NODATA;
  if (labels.length > 2) return NXDOMAIN;
  if (namespace === undefined)
    return client.get('namespaces', undefined, host) === undefined ? NXDOMAIN : NODATA;
  const address = host.replaceAll('-', '.');
  const known = client
    .list('pods', { namespace })
    .items.some((pod) => (pod['status'] as { podIP?: string } | undefined)?.podIP === address);
  if (!known) return NXDOMAIN;
  if (type !== 'A') return NODATA;
  return { kind: 'records', answers: [{ type: 'A', name, data: address }], additionals: [] };
}
