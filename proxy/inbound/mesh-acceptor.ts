import type { TLSSocket } from 'node:tls';
import { alpn } from '../../api/names.ts';
import {
  VerifyError,
  type Logger,
  type PeerIdentity,
  type WorkloadIdentity,
} from '../../workload-identity/index.ts';
import { FREE, type Place } from '../admission.ts';
import { Http2Connection, type Http2Options } from '../http2/connection.ts';
import type { ConnectionTracker } from '../telemetry/connections.ts';
import type { Counter, Family } from '../telemetry/registry.ts';
import type { HttpMetrics } from '../telemetry/http-metrics.ts';
import type { TcpMetrics } from '../telemetry/tcp-metrics.ts';
import { acceptTls } from '../transport/accept-tls.ts';
import { socketOf, type Connection } from '../transport/tcp-connection.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import type { TransportHeader } from '../detect/transport-header.ts';
import { Handshakes } from './handshakes.ts';
import { Quietest } from './quietest.ts';
import { TransportHeaderHandler } from './transport-header-handler.ts';

/** A client whose identity was proved, and how it is reached. */
export interface MeshClient {
  readonly peer: PeerIdentity;
  /** Address and port of the connection's other end. */
  readonly address: string;
  readonly port: number;
}

/** What a client may take of the last places: `none`, one for which an idle connection `gives-way`, or `any`. */
export type Claim = 'none' | 'gives-way' | 'any';

export interface MeshAcceptorOptions {
  identity: WorkloadIdentity;
  wrap: Wrap;
  /** Protocols that are taken, by preference. */
  alpn: readonly string[];
  timers: TimerWheel;
  /** ms for the TLS handshake, and again for a transport header. */
  handshakeMs: number;
  /** Handshakes under way. */
  maxHandshakes: number;
  tcp: TcpMetrics;
  http: HttpMetrics;
  tracker: ConnectionTracker;
  /** Connections that were closed before they said what they want, by reason. */
  refused: Family<Counter>;
  log: Logger;
  /** Asked of a client that came at one of the last places, before any connection gives way to it. Default: `gives-way`. */
  claim?: (client: MeshClient) => Claim;
  /** Streams of `isthmus/1`. */
  isthmus(client: MeshClient): Http2Options['route'];
  /** A connection of `transport.l5d.io/v1` after its header. `rest`: bytes behind the header. */
  linkerd(client: MeshClient, header: TransportHeader, transport: Transport, rest: Buffer): void;
}

/**
 * Accepts mutual TLS on 4143: handshake, judgement of the peer, and by ALPN what comes inside. A connection without a
 * client certificate, with one that is not of this mesh, or without one of our protocols, is closed and counted.
 */
export class MeshAcceptor {
  readonly #options: MeshAcceptorOptions;
  readonly #connections = new Set<Http2Connection>();
  readonly #quietest = new Quietest(this.#connections);
  readonly #handshakes: Handshakes;
  #draining = false;

  constructor(options: MeshAcceptorOptions) {
    this.#options = options;
    this.#handshakes = new Handshakes(options.maxHandshakes);
  }

  /** `isthmus/1` connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** @param place `last`: a connection that is idle gives way to it */
  accept(accepted: Connection, place: Place = FREE): void {
    const { identity, handshakeMs } = this.#options;
    const tls = identity.serverOptions({ alpn: this.#options.alpn });
    if (tls === undefined) {
      this.#refuse(accepted, 'not-ready', undefined);
      return;
    }
    const { remoteAddress: address = '', remotePort: port = 0 } = accepted;
    const raw = socketOf(accepted);
    if (!this.#handshakes.begin(raw, place)) return this.#refuse(raw, 'too-many-handshakes', undefined);
    acceptTls(raw, { tls, timeoutMs: handshakeMs }, (error, socket) => {
      const wasWanted = this.#handshakes.end(raw);
      if (socket === undefined)
        return this.#refuse(raw, wasWanted ? 'handshake' : 'too-many-handshakes', error);
      const peer = identity.verifyPeer(socket);
      if (peer instanceof VerifyError) return this.#refuse(socket, peer.reason, peer);
      if (socket.alpnProtocol !== alpn.isthmus && socket.alpnProtocol !== alpn.linkerd)
        return this.#refuse(socket, 'no-protocol', undefined);
      const client = { peer, address, port };
      if (place.kind === 'last' && !this.#mayStay(client))
        return this.#refuse(socket, 'too-many-connections', undefined);
      this.#open(socket, client);
    });
  }

  /** GOAWAY to everyone; what is under way goes on. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  /** The idle connection that gives way makes the place free again, also one that is taken in any case. */
  #mayStay(client: MeshClient): boolean {
    const claim = this.#options.claim?.(client) ?? 'gives-way';
    if (claim === 'none') return false;
    const idle = this.#quietest.next();
    idle?.drain();
    return idle !== undefined || claim === 'any';
  }

  #open(socket: TLSSocket, client: MeshClient): void {
    const { wrap, tcp, tracker, timers, handshakeMs } = this.#options;
    const transport = wrap(socket);
    tracker.track(
      transport,
      tcp.cells({
        direction: 'inbound',
        peer: 'src',
        tls: 'true',
        client_id: client.peer.spiffeId ?? client.peer.dnsName ?? '',
      }),
    );
    if (socket.alpnProtocol === alpn.isthmus) return this.#isthmus(transport, client);
    transport.handler = new TransportHeaderHandler(transport, timers, handshakeMs, {
      header: (header, rest) => this.#options.linkerd(client, header, transport, rest),
      refused: (reason) => this.#options.refused.cell({ reason }).add(),
    });
  }

  #isthmus(transport: Transport, client: MeshClient): void {
    const route = this.#options.isthmus(client);
    const connection: Http2Connection = new Http2Connection(transport, {
      side: 'server',
      timers: this.#options.timers,
      isthmus: true,
      ...(route === undefined ? {} : { route }),
      onRefused: this.#options.http.refusedInbound,
      onClose: () => {
        this.#connections.delete(connection);
        this.#quietest.forget(connection);
      },
    });
    this.#connections.add(connection);
    transport.handler = connection;
    if (this.#draining) connection.drain();
  }

  #refuse(connection: Connection, reason: string, error: Error | undefined): void {
    const { refused, log } = this.#options;
    refused.cell({ reason }).add();
    log.info({ peer: connection.remoteAddress, reason, error: error?.message }, 'a connection was refused');
    connection.destroy();
  }
}
