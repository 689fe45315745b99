import { BlockList, isIP } from 'node:net';

/** A block of addresses (CIDR). */
export interface AddressBlock {
  readonly text: string;
  contains(address: string): boolean;
}

/** Parses `10.0.0.0/8`, `fd00::/8` or a single address; undefined when it is none. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || length === '') return undefined;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const all = version === 4 ? 32 : 128;
  const prefix = length === undefined ? all : Number(length);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > all) return undefined;
  const list = new BlockList();
  list.addSubnet(address, prefix, family);
  return { text, contains: (other) => list.check(other, isIP(other) === 6 ? 'ipv6' : 'ipv4') };
}
