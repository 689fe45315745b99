import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { EndpointSlice, SliceEndpoint } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { duplicate, invalid, notSupported, required, tooMany } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { dns1123LabelProblem, dns1123SubdomainProblem, qualifiedNameProblems } from './names.ts';

const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20_000;

/**
 * Unlike the real server this one takes loopback addresses: the pods of an embedded cluster have no others.
 */
export function validateEndpointSlice(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const slice = object as StoredObject & EndpointSlice;
  const errors: FieldError[] = [];
  // Lists that were never set are null, as the real server keeps them.
  const endpoints = (slice.endpoints as SliceEndpoint[] | null | undefined) ?? [];
  if (!(slice.addressType as string | undefined)) errors.push(required('addressType'));
  else if (!addressTypes.includes(slice.addressType)) {
    errors.push(notSupported('addressType', slice.addressType, addressTypes));
  }
  errors.push(...validatePorts(slice));
  if (endpoints.length > maxEndpoints) errors.push(tooMany('endpoints', endpoints.length, maxEndpoints));
  const before = (old as (StoredObject & EndpointSlice) | undefined)?.addressType;
  for (const [index, endpoint] of endpoints.entries()) {
    errors.push(...validateEndpoint(endpoint, before ?? slice.addressType, `endpoints[${index}]`));
  }
  if (before !== undefined && before !== slice.addressType) {
    errors.push(invalid('addressType', slice.addressType, 'field is immutable'));
  }
  return errors;
}

function validatePorts(slice: EndpointSlice): FieldError[] {
  const ports = slice.ports ?? [];
  const errors: FieldError[] = [];
  if (ports.length > maxPorts) errors.push(tooMany('ports', ports.length, maxPorts));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `ports[${index}]`;
    const name = port.name ?? '';
    const problem = name === '' ? undefined : dns1123LabelProblem(name);
    if (problem !== undefined) errors.push(invalid(`${path}.name`, name, problem));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (port.protocol !== undefined && !protocols.includes(port.protocol)) {
      errors.push(notSupported(`${path}.protocol`, port.protocol, protocols));
    }
    if (port.appProtocol !== undefined) {
      errors.push(
        ...qualifiedNameProblems(port.appProtocol).map((text) =>
          invalid(`${path}.appProtocol`, port.appProtocol, text),
        ),
      );
    }
  }
  return errors;
}

function validateEndpoint(
  endpoint: SliceEndpoint,
  addressType: EndpointSlice['addressType'],
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const addresses = (endpoint.addresses as string[] | null | undefined) ?? [];
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'));
  if (addresses.length > maxAddresses) {
    errors.push(tooMany(`${path}.addresses`, addresses.length, maxAddresses));
  }
  for (const [index, address] of addresses.entries()) {
    const problem = addressProblem(address, addressType);
    if (problem !== undefined) errors.push(invalid(`${path}.addresses[${index}]`, address, problem));
  }
  if (endpoint.nodeName !== undefined) {
    const problem = dns1123SubdomainProblem(endpoint.nodeName);
    if (problem !== undefined) errors.push(invalid(`${path}.nodeName`, endpoint.nodeName, problem));
  }
  if (endpoint.hostname !== undefined) {
    const problem = dns1123LabelProblem(endpoint.hostname);
    if (problem !== undefined) errors.push(invalid(`${path}.hostname`, endpoint.hostname, problem));
  }
  return errors;
}

function addressProblem(address: string, type: EndpointSlice['addressType']): string | undefined {
  if (type === 'FQDN') {
    if (!address.includes('.')) return 'should be a domain with at least two segments separated by dots';
    return dns1123SubdomainProblem(address);
  }
  if (isIP(address) === 0) return 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  if (type === 'IPv4' && !isIPv4(address)) return 'must be an IPv4 address';
  if (type === 'IPv6' && !isIPv6(address)) return 'must be an IPv6 address';
  if (address === '0.0.0.0' || address === '::') return `may not be unspecified (${address})`;
  if (address.startsWith('169.254.') || /^fe[89ab]/i.test(address)) {
    return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  }
  if (address.startsWith('224.0.0.') || /^ff02:/i.test(address)) {
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  }
  return undefined;
}
