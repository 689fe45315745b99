import type { Socket } from 'node:net';
import { dnsIdentity } from '../../api/names.ts';
import {
  VerifyError,
  type Logger,
  type WorkloadIdentity,
  type WorkloadNames,
} from '../../workload-identity/index.ts';
import type { ProxyPorts } from '../config.ts';
import type { InboundPolicies } from '../control/inbound-policies.ts';
import { detectSocket, type Protocol } from '../detect/detect.ts';
import type { OriginalDestination } from '../detect/original-destination.ts';
import type { ConnectionTracker } from '../telemetry/connections.ts';
import type { Counter, Family } from '../telemetry/registry.ts';
import type { DetectMetrics } from '../telemetry/detect-metrics.ts';
import type { TcpMetrics } from '../telemetry/tcp-metrics.ts';
import { acceptTls } from '../transport/accept-tls.ts';
import { socketOf, type Connection } from '../transport/tcp-connection.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Wrap } from '../transport/transport.ts';
import type { TransportHeader } from '../detect/transport-header.ts';
import type { Apps } from './apps.ts';
import { isOwnPort, NO_TLS, type Inbound, type InboundClient, type LocalPort } from './inbound.ts';

export interface RedirectedAcceptorOptions {
  original: OriginalDestination;
  /** Apps at an address of this pod; undefined: the address is not this pod's. */
  appsAt: (address: string) => Apps | undefined;
  /** Connections that were made to the mesh's port itself. */
  direct: (accepted: Connection) => void;
  inbound: Inbound;
  policies: InboundPolicies;
  own: WorkloadNames;
  ports: ProxyPorts;
  identity: WorkloadIdentity;
  wrap: Wrap;
  timers: TimerWheel;
  /** ms. */
  detectMs: number;
  /** ms for a TLS handshake. */
  handshakeMs: number;
  tcp: TcpMetrics;
  tracker: ConnectionTracker;
  detections: DetectMetrics;
  /** Connections that were closed before they said what they want, by reason. */
  refused: Family<Counter>;
  log: Logger;
}

/**
 * Accepts what the pod's rules turned to the mesh's port: connections that were made to the app's own ports, by peers
 * that do not name a port in their requests and by clients outside of the mesh. TLS that names this workload is the
 * mesh's and ends here; all other TLS is the app's and passes as it is. What the port's policy calls opaque is not
 * looked at.
 */
export class RedirectedAcceptor {
  readonly #options: RedirectedAcceptorOptions;
  readonly #serverName: string;

  constructor(options: RedirectedAcceptorOptions) {
    this.#options = options;
    this.#serverName = dnsIdentity(options.own);
  }

  /** Takes a connection that somebody made to any port of the pod. */
  accept(accepted: Connection): void {
    const { original, appsAt, direct, policies, ports, detections } = this.#options;
    const destination = original(accepted);
    if (destination === undefined || destination.port === ports.inbound) return direct(accepted);
    const { address, port } = destination;
    if (isOwnPort(port, ports)) return this.#refuse(accepted, 'own-port');
    const apps = appsAt(address);
    // What is only passing through is not ours to serve, and to dial it would make an open relay.
    if (apps === undefined) return this.#refuse(accepted, 'not-this-pod');
    const at: LocalPort = { podIp: address, port, apps };
    const policy = policies.port(port);
    if (policy.current === undefined && policy.probed) return this.#detect(accepted, at);
    policy.whenKnown(() => {
      if (policy.current?.opaque !== true) return this.#detect(accepted, at);
      detections.count('inbound', { kind: 'opaque', reason: 'marked' });
      this.#plain(accepted, at, undefined, NO_BYTES);
    });
  }

  #detect(accepted: Connection, at: LocalPort): void {
    const { timers, detectMs, detections } = this.#options;
    // What has been looked at is put back for TLS, which only a socket can.
    const socket = socketOf(accepted);
    detectSocket(socket, { timers, timeoutMs: detectMs }, (protocol, rest) => {
      if (protocol === undefined) return;
      detections.count('inbound', protocol);
      const isOurs = protocol.kind === 'tls' && protocol.serverName === this.#serverName;
      if (isOurs) this.#tls(socket, at);
      else this.#plain(socket, at, codecOf(protocol), rest);
    });
  }

  #plain(connection: Connection, at: LocalPort, protocol: TransportHeader['protocol'], rest: Buffer): void {
    const { remoteAddress: address = '', remotePort: port = 0 } = connection;
    this.#serve(connection, { peer: undefined, address, port }, at, protocol, rest);
  }

  /** As Linkerd's proxy speaks on an app's port: mutual TLS without ALPN, then the app's protocol. */
  #tls(raw: Socket, at: LocalPort): void {
    const { identity, handshakeMs, timers, detectMs, detections } = this.#options;
    const tls = identity.serverOptions();
    if (tls === undefined) return this.#refuse(raw, 'not-ready');
    const { remoteAddress: address = '', remotePort: port = 0 } = raw;
    acceptTls(raw, { tls, timeoutMs: handshakeMs }, (error, socket) => {
      if (socket === undefined) return this.#refuse(raw, 'handshake', error);
      const peer = identity.verifyPeer(socket);
      if (peer instanceof VerifyError) return this.#refuse(socket, peer.reason, peer);
      detectSocket(socket, { timers, timeoutMs: detectMs }, (protocol, rest) => {
        if (protocol === undefined) return;
        detections.count('inbound', protocol);
        this.#serve(socket, { peer, address, port }, at, codecOf(protocol), rest);
      });
    });
  }

  #serve(
    connection: Connection,
    client: InboundClient,
    at: LocalPort,
    protocol: TransportHeader['protocol'],
    rest: Buffer,
  ): void {
    const { tcp, tracker, wrap, inbound } = this.#options;
    const { peer } = client;
    const tls = peer === undefined ? NO_TLS : { tls: 'true', client_id: peer.spiffeId ?? peer.dnsName ?? '' };
    const transport = wrap(connection);
    tracker.track(transport, tcp.cells({ direction: 'inbound', peer: 'src', ...tls }));
    inbound.connection(client, at, protocol, transport, rest);
  }

  #refuse(connection: Connection, reason: string, error?: Error): void {
    const { refused, log } = this.#options;
    refused.cell({ reason }).add();
    log.info({ peer: connection.remoteAddress, reason, error: error?.message }, 'a connection was refused');
    connection.destroy();
  }
}

const NO_BYTES = Buffer.alloc(0);

/** All but HTTP travels as the bytes that came, TLS of the app's own included. */
function codecOf(protocol: Protocol): TransportHeader['protocol'] {
  return protocol.kind === 'http1' || protocol.kind === 'http2' ? protocol.kind : undefined;
}
