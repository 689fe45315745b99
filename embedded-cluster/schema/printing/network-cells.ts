import type { EndpointSlice, Service } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { age } from './age.ts';
import { firstFew, nameOf, selectorText } from './text.ts';

/** How many ports and addresses the real server shows of a slice. */
const shownOfSlice = 3;

type ServiceSpec = NonNullable<Service['spec']>;

interface EndpointsSubset {
  addresses?: { ip: string }[];
  ports?: { port: number }[];
}

export function serviceCells(object: StoredObject, now: number): unknown[] {
  const service: StoredObject & Service = object;
  const spec: ServiceSpec = service.spec ?? {};
  return [
    nameOf(object),
    spec.type ?? '',
    spec.clusterIPs?.[0] ?? (spec.clusterIP || '<none>'),
    externalAddress(service, spec),
    portsText(spec),
    age(object.metadata.creationTimestamp, now),
    selectorText({ matchLabels: spec.selector ?? {} }),
  ];
}

export function endpointSliceCells(object: StoredObject, now: number): unknown[] {
  const slice = object as StoredObject & Partial<EndpointSlice>;
  // A list that was never set is null, as the real server keeps it.
  const ports = slice.ports ?? [];
  const endpoints = slice.endpoints ?? [];
  return [
    nameOf(object),
    slice.addressType ?? '',
    firstFew(
      ports.map(({ port, name }) => (port === undefined ? name || '*' : String(port))),
      shownOfSlice,
      '<unset>',
    ),
    firstFew(
      endpoints.flatMap(({ addresses }) => addresses),
      shownOfSlice,
      '<unset>',
    ),
    age(object.metadata.creationTimestamp, now),
  ];
}

export function endpointsCells(object: StoredObject, now: number): unknown[] {
  const subsets = (object['subsets'] ?? []) as EndpointsSubset[];
  const addresses = subsets.flatMap(({ addresses: list = [], ports = [] }) =>
    ports.length === 0
      ? list.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => list.map(({ ip }) => `${ip}:${port}`)),
  );
  return [
    nameOf(object),
    firstFew(addresses, shownOfSlice, '<none>'),
    age(object.metadata.creationTimestamp, now),
  ];
}

function externalAddress(service: Service, spec: ServiceSpec): string {
  const external = (spec as { externalIPs?: string[] }).externalIPs ?? [];
  switch (spec.type) {
    case 'ExternalName':
      return spec.externalName ?? '<none>';
    case 'LoadBalancer': {
      const ingress = (service.status?.loadBalancer?.ingress ?? []).map(
        ({ ip, hostname }) => ip ?? hostname ?? '',
      );
      const all = [...ingress, ...external];
      return all.length === 0 ? '<pending>' : all.join(',');
    }
    default:
      return external.length === 0 ? '<none>' : external.join(',');
  }
}

function portsText(spec: ServiceSpec): string {
  const ports = (spec.ports ?? []).map(({ port, nodePort, protocol = 'TCP' }) =>
    nodePort === undefined || nodePort === 0 ? `${port}/${protocol}` : `${port}:${nodePort}/${protocol}`,
  );
  return ports.length === 0 ? '<none>' : ports.join(',');
}
