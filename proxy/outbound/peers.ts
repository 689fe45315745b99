import type { Logger, WorkloadIdentity } from '../../workload-identity/index.ts';
import type { Endpoint, EndpointIdentity } from '../balance/endpoint.ts';
import type { ConnectionTracker } from '../telemetry/connections.ts';
import { targetLabels } from '../telemetry/target-labels.ts';
import type { TcpCells, TcpMetrics } from '../telemetry/tcp-metrics.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import { peerDialer } from '../upstream/dial-peer.ts';
import { plainDialer } from '../upstream/dial-plain.ts';
import { ResponseDispatcher } from '../upstream/response-dispatcher.ts';
import { MeshPeer, type PeerTarget } from '../upstream/mesh-peer.ts';
import { ServerConnections } from '../upstream/server-connections.ts';
import type { Upstream } from '../upstream/upstream.ts';

export interface PeersOptions {
  identity: WorkloadIdentity;
  wrap: Wrap;
  timers: TimerWheel;
  /** Source address of our connections. */
  localAddress: string;
  /** Protocols that peers are offered, by preference. */
  alpn: readonly string[];
  /** ms. */
  connectMs: number;
  random: () => number;
  tcp: TcpMetrics;
  tracker: ConnectionTracker;
  log: Logger;
}

interface Shared {
  readonly upstream: MeshPeer | ServerConnections;
  users: number;
}

/**
 * All connections that leave this process for other pods. Targets share them: one `MeshPeer` for each (address, expected identity), one `ServerConnections` for each plain address.
 * What no target refers to any more stays until its last connection is gone.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #shared = new Map<string, Shared>();
  readonly #responses = new ResponseDispatcher();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Connections of `isthmus/1` that stand. */
  get peerConnections(): number {
    let n = 0;
    for (const { upstream } of this.#shared.values())
      if (upstream instanceof MeshPeer) n += upstream.connections;
    return n;
  }

  acquire(endpoint: Endpoint): Upstream {
    const key = keyOf(endpoint);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      const onUnused = (): void => this.#forget(key);
      const upstream =
        endpoint.identity === undefined
          ? this.#plain(endpoint, onUnused)
          : this.#peer(endpoint, endpoint.identity, onUnused);
      shared = { upstream, users: 0 };
      this.#shared.set(key, shared);
    }
    shared.users++;
    const { upstream } = shared;
    return upstream instanceof MeshPeer ? upstream.way(targetOf(endpoint)) : upstream;
  }

  release(endpoint: Endpoint): void {
    const key = keyOf(endpoint);
    const shared = this.#shared.get(key);
    if (shared === undefined) return;
    shared.users--;
    this.#forget(key);
  }

  destroy(): void {
    for (const { upstream } of this.#shared.values()) upstream.destroy();
  }

  #forget(key: string): void {
    const shared = this.#shared.get(key);
    if (shared !== undefined && shared.users === 0 && shared.upstream.unused) this.#shared.delete(key);
  }

  #peer(endpoint: Endpoint, expected: EndpointIdentity, onUnused: () => void): MeshPeer {
    const { timers, random, connectMs, identity, wrap, localAddress, alpn, log } = this.#options;
    const dial = peerDialer(
      {
        identity,
        wrap,
        localAddress,
        alpn,
        timeoutMs: connectMs,
        log,
        onConnected: this.#counting(endpoint),
      },
      endpoint.address,
      endpoint.dialPort,
      expected,
    );
    const { dialPort } = endpoint;
    return new MeshPeer({ dial, dialPort, timers, random, responses: this.#responses, onUnused });
  }

  #plain(endpoint: Endpoint, onUnused: () => void): ServerConnections {
    const { timers, random, connectMs, wrap, localAddress } = this.#options;
    const connect = plainDialer({
      host: endpoint.address,
      port: endpoint.port,
      localAddress,
      timeoutMs: connectMs,
      wrap,
      onConnected: this.#counting(endpoint),
    });
    return new ServerConnections({
      connect,
      multiplexes: endpoint.http2,
      keepAlive: endpoint.http2,
      timers,
      responses: this.#responses,
      random,
      onUnused,
    });
  }

  /** Counts connections to an endpoint; its series begin with the first. */
  #counting(endpoint: Endpoint): (transport: Transport) => void {
    const { tcp, tracker } = this.#options;
    let cells: TcpCells | undefined;
    return (transport) => {
      cells ??= tcp.cells({
        direction: 'outbound',
        peer: 'dst',
        ...targetLabels(endpoint.address, endpoint.dialPort),
        ...tlsLabels(endpoint),
      });
      tracker.track(transport, cells);
    };
  }
}

/** `tls` and `server_id` as Linkerd's proxy labels them. */
export function tlsLabels(endpoint: Endpoint): Readonly<Record<string, string>> {
  const { identity } = endpoint;
  if (identity === undefined)
    return { tls: 'no_identity', no_tls_reason: 'not_provided_by_service_discovery' };
  return { tls: 'true', server_id: identity.spiffeId ?? identity.dnsName ?? '' };
}

/** What the endpoint is behind its proxy. */
function targetOf({ authorityOverride, port, http2 }: Endpoint): PeerTarget {
  if (authorityOverride === undefined) return { name: '', port, multiplexes: http2 };
  const colon = authorityOverride.lastIndexOf(':');
  const name = authorityOverride.slice(0, colon);
  return { name, port: Number(authorityOverride.slice(colon + 1)), multiplexes: http2 };
}

function keyOf(endpoint: Endpoint): string {
  const { address, port, dialPort, identity, http2 } = endpoint;
  if (identity === undefined) return `${address}:${port}${http2 ? '|h2' : ''}`;
  return `${address}:${dialPort}|${identity.spiffeId ?? ''}|${identity.dnsName ?? ''}`;
}
