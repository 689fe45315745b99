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
import { connectionLabels } from './destination-labels.ts';

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
  readonly counting: Counting;
  users: number;
}

/** Counts connections to an endpoint; its series begin with the first. */
class Counting {
  readonly #tcp: TcpMetrics;
  readonly #tracker: ConnectionTracker;
  /** As a target has named it last: what the control plane says of it may change. */
  #endpoint: Endpoint;
  #cells: TcpCells | undefined = undefined;

  constructor(tcp: TcpMetrics, tracker: ConnectionTracker, endpoint: Endpoint) {
    this.#tcp = tcp;
    this.#tracker = tracker;
    this.#endpoint = endpoint;
  }

  /** Labels of connections from here on. */
  tell(endpoint: Endpoint): void {
    if (endpoint.labels !== this.#endpoint.labels) this.#cells = undefined;
    this.#endpoint = endpoint;
  }

  connected(transport: Transport): void {
    const { address, dialPort } = this.#endpoint;
    this.#cells ??= this.#tcp.cells({
      direction: 'outbound',
      peer: 'dst',
      ...targetLabels(address, dialPort),
      ...tlsLabels(this.#endpoint),
      ...connectionLabels(this.#endpoint),
    });
    this.#tracker.track(transport, this.#cells);
  }
}

/**
 * All connections that leave this process for other pods. Targets share them: one `MeshPeer` for each (address,
 * expected identity), one `ServerConnections` for each plain address. What no target refers to any more stays until its
 * last connection is gone.
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
      const { tcp, tracker } = this.#options;
      const counting = new Counting(tcp, tracker, endpoint);
      const upstream =
        endpoint.identity === undefined
          ? this.#plain(endpoint, counting, onUnused)
          : this.#peer(endpoint, endpoint.identity, counting, onUnused);
      shared = { upstream, counting, users: 0 };
      this.#shared.set(key, shared);
    } else shared.counting.tell(endpoint);
    shared.users++;
    const { upstream } = shared;
    return upstream instanceof MeshPeer ? upstream.way(targetOf(endpoint)) : upstream;
  }

  /** What the control plane says of an endpoint has changed: connections from here on are counted by it. */
  relabelled(endpoint: Endpoint): void {
    this.#shared.get(keyOf(endpoint))?.counting.tell(endpoint);
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

  #peer(endpoint: Endpoint, expected: EndpointIdentity, counting: Counting, onUnused: () => void): MeshPeer {
    const { timers, random, connectMs, identity, wrap, localAddress, alpn, log } = this.#options;
    const dial = peerDialer(
      {
        identity,
        wrap,
        localAddress,
        alpn,
        timeoutMs: connectMs,
        log,
        onConnected: (transport) => counting.connected(transport),
      },
      endpoint.address,
      endpoint.dialPort,
      expected,
    );
    const { dialPort } = endpoint;
    return new MeshPeer({ dial, dialPort, timers, random, responses: this.#responses, onUnused });
  }

  #plain(endpoint: Endpoint, counting: Counting, onUnused: () => void): ServerConnections {
    const { timers, random, connectMs, wrap, localAddress } = this.#options;
    const connect = plainDialer({
      host: endpoint.address,
      port: endpoint.port,
      localAddress,
      timeoutMs: connectMs,
      wrap,
      onConnected: (transport) => counting.connected(transport),
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
