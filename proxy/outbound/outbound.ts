import { isIPv6 } from 'node:net';
import { causes, type Cause } from '../errors.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import type { Http1ServerOptions } from '../http1/server-options.ts';
import { Http2Connection } from '../http2/connection.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { Destination } from '../detect/original-destination.ts';
import type { ConnectionTracker } from '../telemetry/connections.ts';
import type { DetectMetrics } from '../telemetry/detect-metrics.ts';
import type { HttpMetrics } from '../telemetry/http-metrics.ts';
import type { TcpCells, TcpMetrics } from '../telemetry/tcp-metrics.ts';
import { OpaqueServerConnection } from '../transport/opaque.ts';
import type { Connection } from '../transport/tcp-connection.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import { checkOpaque } from '../upstream/check-opaque.ts';
import { connectHead } from '../upstream/connect-head.ts';
import { refuse } from '../upstream/refuse.ts';
import { readAuthority, readAuthorityOf } from './authority.ts';
import { Detecting } from './detecting.ts';
import { takeOverride } from './ingress.ts';
import type { Target } from './target.ts';
import type { Targets } from './targets.ts';
import { serveTunnel } from './tunnel.ts';

export interface OutboundOptions {
  targets: Targets;
  /** Of an ingress controller's sidecar: where requests go by `l5d-dst-override`. Undefined: they do not. */
  overrides: Targets | undefined;
  wrap: Wrap;
  timers: TimerWheel;
  /** ms. */
  detectMs: number;
  http: HttpMetrics;
  tcp: TcpMetrics;
  tracker: ConnectionTracker;
  detections: DetectMetrics;
}

const HTTP_PORT = 80;
const TLS_PORT = 443;
const NO_BYTES = Buffer.alloc(0);

type OnConnect = NonNullable<Http1ServerOptions['onConnect']>;

/**
 * The outbound side: connections of the pod's own apps. The way of a request, outermost first:
 *
 *   accept, target            this file: a redirected connection has its original destination; else absolute form or `:authority` picks the target by request,
 *                             CONNECT and the server name of TLS by connection. In ingress mode `l5d-dst-override` goes before all of these (`ingress.ts`)
 *   detect                    `detecting.ts`, `tunnel.ts`: what is spoken on a connection, or inside a CONNECT
 *   codec                     `http1/server-connection.ts`, `http2/connection.ts`, `transport/opaque.ts`
 *   target's stack            `target.ts`: telemetry, balance, peer
 */
export class Outbound {
  readonly #options: OutboundOptions;
  /** Of connections that name targets inside. */
  readonly #explicit: Http1ServerOptions;
  readonly #connections = new Set<{ drain(): void }>();
  /** Of all connections of apps, from the first on: their labels are the same. */
  #cells: TcpCells | undefined = undefined;
  #opaque = 0;
  #draining = false;

  constructor(options: OutboundOptions) {
    this.#options = options;
    this.#explicit = {
      ...this.#inside(undefined),
      onConnect: (head, connection) => this.#connect(head, connection),
    };
  }

  /** Connections of apps that are open. */
  get open(): number {
    return this.#connections.size + this.#opaque;
  }

  /** A connection whose target is named inside. */
  accept(accepted: Connection): void {
    const { timers, detectMs, detections } = this.#options;
    const transport = this.#take(accepted);
    const detecting = new Detecting(transport, timers, NO_BYTES, (protocol, { bytes, ended }) => {
      if (protocol === undefined) return;
      detections.count('outbound', protocol);
      if (protocol.kind === 'tls') return this.#tls(transport, protocol.serverName, bytes);
      // What is no HTTP at all, the codec of HTTP/1.1 refuses.
      const connection =
        protocol.kind === 'http2' ? this.#http2(transport, undefined) : this.#http1(transport, undefined);
      transport.handler = connection;
      if (bytes.length > 0) connection.onData(bytes, 0, bytes.length);
      if (ended) connection.onEnd();
    });
    detecting.start(detectMs);
  }

  /**
   * A connection that the pod's rules turned to us. It goes where the app was going, also when the Host inside says otherwise: an app that chose one pod of a
   * service wants that pod.
   */
  acceptRedirected(accepted: Connection, original: Destination): void {
    const { address, port } = original;
    const target = this.#target(isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`, undefined);
    if ('stack' in target) this.#detect(this.#take(accepted), target, NO_BYTES);
    else {
      this.#options.http.outboundErrors.cell({ error: target.code }).add();
      accepted.destroy();
    }
  }

  /** Requests under way go on; connections close as they end. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  #take(accepted: Connection): Transport {
    const { tcp, tracker, wrap } = this.#options;
    this.#cells ??= tcp.cells({
      direction: 'outbound',
      peer: 'src',
      tls: 'no_identity',
      no_tls_reason: 'loopback',
    });
    const transport = wrap(accepted);
    tracker.track(transport, this.#cells);
    return transport;
  }

  /** @param tunnel the target that a CONNECT named: requests inside go there, whatever their Host says */
  #http1(transport: Transport, tunnel: Target | undefined): Http1ServerConnection {
    const options = tunnel === undefined ? this.#explicit : this.#inside(tunnel);
    const connection = new Http1ServerConnection(transport, options);
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    return connection;
  }

  /** Of connections on which CONNECT leads nowhere: those inside of a tunnel, whose requests all go to its target. */
  #inside(tunnel: Target | undefined): Http1ServerOptions {
    return {
      timers: this.#options.timers,
      route: (_x, head) => this.#route(head, tunnel),
      onRefused: this.#options.http.refusedOutbound,
      onClose: (connection) => this.#connections.delete(connection),
    };
  }

  #http2(transport: Transport, tunnel: Target | undefined): Http2Connection {
    const connection: Http2Connection = new Http2Connection(transport, {
      side: 'server',
      isthmus: false,
      timers: this.#options.timers,
      route: (x, head) => {
        const refusal = checkOpaque(x, head);
        return refusal === undefined
          ? this.#route(head, tunnel)
          : refuse(refusal, this.#options.http.outboundErrors);
      },
      onRefused: this.#options.http.refusedOutbound,
      onClose: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
    return connection;
  }

  /** TLS of the app's own passes as it is, to the server that it names. */
  #tls(transport: Transport, serverName: string, bytes: Buffer): void {
    const target = this.#target(serverName, TLS_PORT);
    if (!('stack' in target)) {
      this.#options.http.outboundErrors.cell({ error: target.code }).add();
      transport.destroy();
      return;
    }
    const connection = this.#opaqueConnection(transport, target);
    transport.handler = connection;
    connection.start(connectHead(target.authority), bytes);
  }

  #route(head: Head, tunnel: Target | undefined): RequestSink {
    const { overrides } = this.#options;
    if (overrides !== undefined) {
      const named = takeOverride(head);
      if (named !== undefined) return this.#stackOf(this.#targetOf(named, overrides));
    }
    if (tunnel !== undefined) {
      tunnel.touch();
      return tunnel.stack;
    }
    return this.#stackOf(this.#targetOf(readAuthorityOf(head.authority, HTTP_PORT)));
  }

  #stackOf(target: Target | Cause): RequestSink {
    return 'stack' in target ? target.stack : refuse(target, this.#options.http.outboundErrors);
  }

  #connect(head: Head, connection: Http1ServerConnection): ReturnType<OnConnect> {
    const target = this.#targetOf(readAuthorityOf(head.authority, undefined));
    if (!('stack' in target)) return target;
    return (transport, rest) => {
      this.#connections.delete(connection);
      this.#detect(transport, target, rest);
    };
  }

  #detect(transport: Transport, target: Target, rest: Buffer): void {
    const { timers, detectMs, detections } = this.#options;
    serveTunnel(transport, target, rest, timers, detectMs, {
      detected: (protocol) => detections.count('outbound', protocol),
      http1: (inside) => this.#http1(inside, target),
      http2: (inside) => this.#http2(inside, target),
      opaque: (inside) => this.#opaqueConnection(inside, target),
    });
  }

  #opaqueConnection(transport: Transport, target: Target): OpaqueServerConnection {
    this.#opaque++;
    const route = (x: Exchange): RequestSink => {
      x.opaque = true;
      return target.stack;
    };
    return new OpaqueServerConnection(transport, route, () => this.#opaque--);
  }

  #target(text: string, defaultPort: number | undefined): Target | Cause {
    return this.#targetOf(readAuthority(text, defaultPort));
  }

  #targetOf(authority: string | Cause, targets = this.#options.targets): Target | Cause {
    if (typeof authority !== 'string') return authority;
    return targets.get(authority) ?? causes.overloaded;
  }
}
