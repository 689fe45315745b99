import { BlockList, isIP } from 'node:net';
import { port, PROXY_UID, redirectEnv } from '../api/names.ts';

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A block of addresses of one family. */
export interface Subnet {
  readonly family: 4 | 6;
  /** As written: `10.0.0.0/8`. */
  readonly text: string;
}

/** What is left alone; all other TCP goes through the sidecar. */
export interface RedirectConfig {
  /** Connections of this user are the sidecar's own. */
  readonly proxyUid: number;
  /** Ports of the sidecar. */
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly adminPort: number;
  readonly skipInboundPorts: readonly PortRange[];
  readonly skipOutboundPorts: readonly PortRange[];
  readonly skipSubnets: readonly Subnet[];
}

const MAX_PORT = 65_535;
/** The highest user id of Linux that is one (-1 means "no id"). */
const MAX_UID = 4_294_967_294;

/** Reads the environment. Throws one error that names every variable that cannot be used, and what it must be. */
export function redirectConfig(env: NodeJS.ProcessEnv): RedirectConfig {
  const problems: string[] = [];
  const read = <T>(name: string, must: string, parse: (text: string) => T | undefined): T[] => {
    const found: T[] = [];
    for (const text of (env[name] ?? '').split(',').map((part) => part.trim())) {
      if (text === '') continue;
      const value = parse(text);
      if (value === undefined) problems.push(`${name} is "${text}": it must be ${must}`);
      else found.push(value);
    }
    return found;
  };
  const readPort = (name: string, usual: number): number => read(name, 'a port', parsePort)[0] ?? usual;
  const ports = 'a list of ports and ranges such as 25,3306-3310';
  const config: RedirectConfig = {
    proxyUid: read(redirectEnv.proxyUid, 'a user id above 0', parseUid)[0] ?? PROXY_UID,
    inboundPort: readPort(redirectEnv.inboundPort, port.inbound),
    outboundPort: readPort(redirectEnv.outboundPort, port.outbound),
    adminPort: readPort(redirectEnv.adminPort, port.admin),
    skipInboundPorts: merged(read(redirectEnv.skipInboundPorts, ports, parseRange)),
    skipOutboundPorts: merged(read(redirectEnv.skipOutboundPorts, ports, parseRange)),
    skipSubnets: read(redirectEnv.skipSubnets, 'a list of address blocks such as 10.0.0.0/8', parseSubnet),
  };
  if (problems.length > 0) throw new Error(`the configuration is not usable:\n  ${problems.join('\n  ')}`);
  return config;
}

/** Root's connections cannot be the sidecar's: the apps of many images run as root, and would pass the mesh by. */
function parseUid(text: string): number | undefined {
  const uid = Number(text);
  return /^[0-9]+$/.test(text) && uid > 0 && uid <= MAX_UID ? uid : undefined;
}

function parsePort(text: string): number | undefined {
  const range = parseRange(text);
  return range?.first === range?.last ? range?.first : undefined;
}

function parseRange(text: string): PortRange | undefined {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && first <= last && last <= MAX_PORT ? { first, last } : undefined;
}

function parseSubnet(text: string): Subnet | undefined {
  const match = /^([0-9a-f:.]+)\/([0-9]{1,3})$/i.exec(text);
  const [, address = '', prefix = ''] = match ?? [];
  const family = isIP(address);
  if (family !== 4 && family !== 6) return undefined;
  try {
    new BlockList().addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  } catch {
    return undefined;
  }
  return { family, text };
}

/** In order and without overlaps: sets of nftables refuse those. */
export function merged(ranges: readonly PortRange[]): PortRange[] {
  const result: PortRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before === undefined || range.first > before.last + 1) result.push(range);
    else result[result.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return result;
}
