import type { Logger } from '../workload-identity/index.ts';
import type { ProxyConfig } from './config.ts';
import { loadOriginalDestination, type OriginalDestination } from './detect/original-destination.ts';
import { RedirectedAcceptor } from './inbound/redirected-acceptor.ts';
import type { Outbound } from './outbound/outbound.ts';
import type { Runtime } from './runtime.ts';
import type { Sides } from './sides.ts';
import type { Connection } from './transport/tcp-connection.ts';

/** What takes the connections that the pod's rules turn to the sidecar, of each side. */
export interface RedirectedWays {
  readonly outbound: (accepted: Connection) => void;
  readonly inbound: (accepted: Connection) => void;
}

/** How connections are taken whose clients called somebody else than the sidecar. */
export async function redirectedWays(
  runtime: Runtime,
  config: ProxyConfig,
  sides: Sides,
): Promise<RedirectedWays> {
  const original = await originalDestinationOrLess(runtime.log);
  return {
    outbound: acceptOutbound(sides.outbound, original),
    inbound: acceptInbound(runtime, config, sides, original),
  };
}

/**
 * Reads original destinations; undefined, with an error in the log, where that is not possible. The sidecar then still
 * does what needs none: it serves peers that name the app's port on the way, and HTTP requests by their Host.
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

function acceptOutbound(
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

function acceptInbound(
  runtime: Runtime,
  config: ProxyConfig,
  sides: Sides,
  original: OriginalDestination | undefined,
): (accepted: Connection) => void {
  const { inbound, policies, apps } = sides;
  const direct = (accepted: Connection): void => sides.acceptor.accept(accepted);
  if (original === undefined) return direct;
  const acceptor = new RedirectedAcceptor({
    ...runtime,
    inbound,
    policies,
    original,
    direct,
    appsAt: (address) => apps.at(address),
    own: config.workload,
    ports: config.ports,
    detectMs: config.times.inboundDetectMs,
    handshakeMs: config.times.handshakeMs,
  });
  return (accepted) => acceptor.accept(accepted);
}
