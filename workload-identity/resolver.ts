import { Resolver } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { env as envNames } from '../api/names.ts';
import { SystemLookup } from './system-lookup.ts';

/** An address to dial. */
export interface ResolvedAddress {
  address: string;
  port: number;
}

/** `host:port` -> addresses, at least one, in the order to try. Throws when the name has none. */
export type Resolve = (hostPort: string) => Promise<ResolvedAddress[]>;

/** ms; a name server that does not answer must not hold a connection attempt for longer than the attempt itself may last. */
const DNS_TIMEOUT_MS = 2_000;
const DNS_TRIES = 2;

/**
 * Splits `host:port` or `[v6]:port`. Throws an error that names the input when it has another form.
 */
export function splitHostPort(hostPort: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(hostPort);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(
      `"${hostPort}" is not an address: write host:port (or [IPv6]:port) with a port from 1 to 65535`,
    );
  }
  return { host, port };
}

/**
 * A resolver for the names of the cluster. Asks `ISTHMUS_DNS_SERVER` (`<ip>:<port>`) where it is set, the system otherwise; literal IPs pass.
 */
export function createResolver(env: NodeJS.ProcessEnv = process.env): Resolve {
  const server = env[envNames.dnsServer];
  const ask = server === undefined || server === '' ? askSystem : askServer(server);
  return async (hostPort) => {
    const { host, port } = splitHostPort(hostPort);
    // A name is not held against IPv6's expression, whose compilation takes ms of a start.
    if (isIPv4(host) || (host.includes(':') && isIPv6(host))) return [{ address: host, port }];
    const addresses = await ask(host);
    if (addresses.length === 0) throw new Error(`the name ${host} has no address`);
    return addresses.map((address) => ({ address, port }));
  };
}

/** One of the process, as are the threads that it shares out. */
const system = new SystemLookup();

function askSystem(host: string): Promise<string[]> {
  return system.addresses(host);
}

function askServer(server: string): (host: string) => Promise<string[]> {
  splitHostPort(server);
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  resolver.setServers([server]);
  return async (host) => {
    // A trailing dot says "fully qualified"; c-ares takes it as it is.
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = [
      ...(v4.status === 'fulfilled' ? v4.value : []),
      ...(v6.status === 'fulfilled' ? v6.value : []),
    ];
    if (found.length === 0 && v4.status === 'rejected') {
      throw new Error(`the name ${host} was not resolved by ${server}: ${String(v4.reason)}`, {
        cause: v4.reason,
      });
    }
    return found;
  };
}
