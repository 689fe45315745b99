import type { Logger } from '../workload-identity/index.ts';
import type { ProxyConfig } from './config.ts';
import { listening, listenOn, type Listening } from './listening.ts';
import { redirectedWays } from './redirect-mode.ts';
import type { Runtime } from './runtime.ts';
import type { Sides } from './sides.ts';
import type { Listener } from './transport/listen.ts';
import type { Connection } from './transport/tcp-connection.ts';

/**
 * Where the rules of `redirect/` turn connections to: outbound ones to loopback, inbound ones to the interface that
 * they came by.
 */
const OUTBOUND_HOSTS = ['127.0.0.1', '::1'] as const;
const INBOUND_HOSTS = ['0.0.0.0', '::'] as const;

/** A kernel, or a pod, without IPv6. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL']);

/** What a sidecar listens by, a side each: a drain closes one before the other. */
export interface Listeners {
  readonly outbound: readonly Listener[];
  readonly inbound: readonly Listener[];
}

/** Opens the ports of both sides, as the mode has it. Rejects when a port cannot be bound. */
export function listenOnSides(runtime: Runtime, config: ProxyConfig, sides: Sides): Promise<Listeners> {
  return config.mode === 'redirect' ? redirected(runtime, config, sides) : explicit(runtime, config, sides);
}

/** Apps and peers come to the pod's address. */
async function explicit(
  runtime: Runtime,
  { pod, ports }: ProxyConfig,
  { outbound, acceptor }: Sides,
): Promise<Listeners> {
  const by = listening(runtime);
  return {
    outbound: [await listenOn(pod.ip, ports.outbound, (accepted) => outbound.accept(accepted), by)],
    inbound: [await listenOn(pod.ip, ports.inbound, (accepted) => acceptor.accept(accepted), by)],
  };
}

/** The pod's rules turn all connections to us, of both families if there are both. */
async function redirected(runtime: Runtime, config: ProxyConfig, sides: Sides): Promise<Listeners> {
  const { log } = runtime;
  const { ports } = config;
  const ways = await redirectedWays(runtime, config, sides);
  const by = listening(runtime);
  return {
    outbound: await listenOnEach(log, OUTBOUND_HOSTS, ports.outbound, ways.outbound, by),
    inbound: await listenOnEach(log, INBOUND_HOSTS, ports.inbound, ways.inbound, by),
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

function codeOf(error: unknown): string {
  const { cause } = error as { cause?: NodeJS.ErrnoException };
  return cause?.code ?? '';
}
