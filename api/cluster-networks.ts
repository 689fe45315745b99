import { isIPv4, isIPv6 } from 'node:net';

/** Linkerd's default `clusterNetworks`: the private ranges. */
export const DEFAULT_CLUSTER_NETWORKS: readonly string[] = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fd00::/8',
];

/** Address and length of the prefix of a network in CIDR notation. Throws a `TypeError` that names what is none. */
export function parseNetwork(cidr: string): { readonly ip: string; readonly prefixLength: number } {
  const [ip = '', prefix = ''] = cidr.split('/');
  const longest = isIPv4(ip) ? 32 : isIPv6(ip) ? 128 : -1;
  const prefixLength = Number(prefix);
  if (!/^\d+$/.test(prefix) || prefixLength > longest)
    throw new TypeError(`"${cidr}" is not a network: write it as 10.0.0.0/8`);
  return { ip, prefixLength };
}

/** Throws an error that names the first of `cidrs` that is no network. */
export function checkNetworks(cidrs: readonly string[]): void {
  for (const cidr of cidrs) parseNetwork(cidr);
}
