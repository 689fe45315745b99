import { networkInterfaces } from 'node:os';
import type { Logger } from '../workload-identity/index.ts';
import type { ProxyPorts } from './config.ts';
import type { Apps } from './inbound/apps.ts';
import { loadOriginalDestination, type OriginalDestination } from './detect/original-destination.ts';
import type { Outbound } from './outbound/outbound.ts';
import { listenOn, type Listening } from './runtime.ts';
import type { Listener } from './transport/listen.ts';
import type { Connection } from './transport/tcp-connection.ts';

/** Where the rules of `redirect/` turn connections to: outbound ones to loopback, inbound ones to the interface that they came by. */
const OUTBOUND_HOSTS = ['127.0.0.1', '::1'] as const;
const INBOUND_HOSTS = ['0.0.0.0', '::'] as const;

/** A kernel, or a pod, without IPv6. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/** What a sidecar listens by, a side each: a drain closes one before the other. */
export interface Listeners {
  readonly outbound: readonly Listener[];
  readonly inbound: readonly Listener[];
}

/** Listens where redirected connections arrive, on both families if there are both. Rejects when IPv4's port cannot be bound. */
export async function listenRedirected(
  log: Logger,
  ports: ProxyPorts,
  outbound: (accepted: Connection) => void,
  inbound: (accepted: Connection) => void,
  by: Listening,
): Promise<Listeners> {
  return {
    outbound: await listenOnEach(log, OUTBOUND_HOSTS, ports.outbound, outbound, by),
    inbound: await listenOnEach(log, INBOUND_HOSTS, ports.inbound, inbound, by),
  };
}

async function listenOnEach(
  log: Logger,
  hosts: readonly string[],
  port: number,
  accept: (accepted: Connection) => void,
  by: Listening,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (const host of hosts) {
    try {
      listeners.push(await listenOn(host, port, accept, by));
    } catch (error) {
      if (!host.includes(':') || !NO_IPV6.has(codeOf(error))) throw error;
      log.info({ host }, 'there is no IPv6 here');
    }
  }
  return listeners;
}

/**
 * Reads original destinations; undefined, with an error in the log, where that is not possible. The sidecar then still does what needs none: peers that name the
 * app's port on the way, and HTTP requests by their Host.
 */
export async function originalDestinationOrLess(log: Logger): Promise<OriginalDestination | undefined> {
  try {
    return await loadOriginalDestination();
  } catch (error) {
    log.error(
      { error: error instanceof Error ? error.message : String(error) },
      'redirected connections are served by the Host of their requests alone',
    );
    return undefined;
  }
}

/** How the outbound side takes a redirected connection. */
export function acceptOutbound(
  outbound: Outbound,
  original: OriginalDestination | undefined,
): (accepted: Connection) => void {
  return (accepted) => {
    if (original === undefined) return outbound.accept(accepted);
    const destination = original(accepted);
    if (destination === undefined) accepted.destroy();
    else outbound.acceptRedirected(accepted, destination);
  };
}

/** Apps by the pod's address that they were called at: an app may listen on one of them only. */
export class AppsByAddress {
  readonly #make: (address: string) => Apps;
  readonly #apps: Map<string, Apps>;
  readonly #own: ReadonlySet<string>;

  /** @param podIp with its apps, which are there already */
  constructor(podIp: string, apps: Apps, make: (address: string) => Apps) {
    this.#make = make;
    this.#apps = new Map([[podIp, apps]]);
    const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    this.#own = new Set(all.filter(({ internal }) => !internal).map(({ address }) => address));
  }

  /** Undefined: the address is not this pod's. */
  at(address: string): Apps | undefined {
    const known = this.#apps.get(address);
    if (known !== undefined || !this.#own.has(address)) return known;
    const made = this.#make(address);
    this.#apps.set(address, made);
    return made;
  }

  destroy(): void {
    for (const apps of this.#apps.values()) apps.destroy();
  }
}

function codeOf(error: unknown): string {
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  return cause?.code ?? '';
}
