import type { IPAddress, TcpAddress } from '../../api/proto/gen/linkerd/net_pb.js';

/** Text form of an address of the proxy API; undefined when it holds none. */
export function addressText(address: IPAddress | undefined): string | undefined {
  if (address?.ip.case === 'ipv4') {
    const n = address.ip.value;
    return [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.');
  }
  if (address?.ip.case !== 'ipv6') return undefined;
  const { first, last } = address.ip.value;
  const groups: string[] = [];
  for (const half of [first, last]) {
    for (let shift = 48n; shift >= 0n; shift -= 16n) groups.push(((half >> shift) & 0xffffn).toString(16));
  }
  return groups.join(':');
}

/** The proxy API has 32 bits for a port. */
export const MAX_PORT = 65_535;

/** Address and port; undefined when one is missing, or is no port. */
export function tcpAddress(tcp: TcpAddress | undefined): { address: string; port: number } | undefined {
  const address = addressText(tcp?.ip);
  return address === undefined || tcp === undefined || tcp.port === 0 || tcp.port > MAX_PORT
    ? undefined
    : { address, port: tcp.port };
}
