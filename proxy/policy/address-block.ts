import { BlockList, isIPv4 } from 'node:net';

/** A block of addresses (CIDR). */
export interface AddressBlock {
  readonly text: string;
  contains(address: string): boolean;
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a single address; undefined when it is none. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const family = familyOf(address);
  if ((family === 'ipv4' && !isIPv4(address)) || rest.length > 0 || length === '') return undefined;
  const all = family === 'ipv4' ? 32 : 128;
  const prefix = length === undefined ? all : Number(length);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > all) return undefined;
  const list = new BlockList();
  try {
    list.addSubnet(address, prefix, family);
  } catch {
    // No IPv6 address. `isIPv6` would tell, at the price of compiling a regular expression that takes ms of every start.
    return undefined;
  }
  return { text, contains: (other) => list.check(other, familyOf(other)) };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
