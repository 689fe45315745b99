import { isIPv4, isIPv6 } from 'node:net';

import { create } from '@bufbuild/protobuf';

import { parseNetwork } from '../api/cluster-networks.ts';
import {
  type IPAddress,
  IPAddressSchema,
  type IPNetwork,
  IPNetworkSchema,
  type TcpAddress,
  TcpAddressSchema,
} from '../api/proto/gen/linkerd/net_pb.js';

/** Eight 16-bit groups of an IPv6 address that `isIPv6` accepts. */
function ipv6Groups(text: string): number[] {
  const bare = text.split('%', 1)[0] ?? text;
  const lastColon = bare.lastIndexOf(':');
  const tail = bare.slice(lastColon + 1);
  const hex = tail.includes('.') ? `${bare.slice(0, lastColon + 1)}${embeddedIpv4(tail)}` : bare;
  const [head = '', rest] = hex.split('::');
  const left = groupsOf(head);
  if (rest === undefined) return left;
  const right = groupsOf(rest);
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
}

function groupsOf(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
}

function embeddedIpv4(text: string): string {
  const value = ipv4Value(text);
  return `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
}

function ipv4Value(text: string): number {
  return text.split('.').reduce((value, octet) => ((value << 8) | Number(octet)) >>> 0, 0);
}

function high64(groups: readonly number[]): bigint {
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** One spelling for each address, so that addresses can be map keys; undefined for what is no IP address. */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  return ipv6Groups(text)
    .map((group) => group.toString(16))
    .join(':');
}

/** Address in the proxy API's form. Throws for what is no IP address. */
export function ipAddress(text: string): IPAddress {
  if (isIPv4(text)) return create(IPAddressSchema, { ip: { case: 'ipv4', value: ipv4Value(text) } });
  if (!isIPv6(text)) throw new TypeError(`"${text}" is not an IP address`);
  const groups = ipv6Groups(text);
  return create(IPAddressSchema, {
    ip: { case: 'ipv6', value: { first: high64(groups.slice(0, 4)), last: high64(groups.slice(4)) } },
  });
}

/** Address and port in the proxy API's form. */
export function tcpAddress(ip: string, port: number): TcpAddress {
  return create(TcpAddressSchema, { ip: ipAddress(ip), port });
}

/** Text of an address of the proxy API, canonical; undefined when the message holds none. */
export function ipText(address: IPAddress | undefined): string | undefined {
  if (address?.ip.case === 'ipv4') {
    const value = address.ip.value;
    return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
  }
  if (address?.ip.case === 'ipv6') {
    const { first, last } = address.ip.value;
    return [first, last]
      .flatMap((half) => [48n, 32n, 16n, 0n].map((shift) => ((half >> shift) & 0xffffn).toString(16)))
      .join(':');
  }
  return undefined;
}

/** `10.0.0.0/8` in the proxy API's form. Throws for what is no CIDR. */
export function ipNetwork(cidr: string): IPNetwork {
  const { ip, prefixLength } = parseNetwork(cidr);
  return create(IPNetworkSchema, { ip: ipAddress(ip), prefixLen: prefixLength });
}
