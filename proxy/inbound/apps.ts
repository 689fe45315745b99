import type { ConnectionTracker } from '../telemetry/connections.ts';
import { targetLabels } from '../telemetry/target-labels.ts';
import type { TcpMetrics } from '../telemetry/tcp-metrics.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Wrap } from '../transport/transport.ts';
import { plainDialer } from '../upstream/dial-plain.ts';
import type { Destination } from '../upstream/destination.ts';
import { ResponseDispatcher } from '../upstream/response-dispatcher.ts';
import { ServerConnections } from '../upstream/server-connections.ts';

/** Ports of this pod that are connected to at once. Peers choose the port they name, so the number must have an end. */
const MAX_APPS = 1_024;

export interface AppsOptions {
  /** The pod's address: where its apps listen, and the source of our connections to them. */
  podIp: string;
  /** ms. */
  connectMs: number;
  wrap: Wrap;
  timers: TimerWheel;
  tcp: TcpMetrics;
  tracker: ConnectionTracker;
  random: () => number;
}

/** Connections to the apps of this pod, by port; all clients share them. */
export class Apps {
  readonly #options: AppsOptions;
  readonly #byPort = new Map<number, Destination & { upstream: ServerConnections }>();
  readonly #responses = new ResponseDispatcher();

  constructor(options: AppsOptions) {
    this.#options = options;
  }

  /** Undefined when too many ports are in use. */
  app(port: number): Destination | undefined {
    const known = this.#byPort.get(port);
    if (known !== undefined) return known;
    if (this.#byPort.size >= MAX_APPS) return undefined;
    const app = { upstream: this.#connect(port) };
    this.#byPort.set(port, app);
    return app;
  }

  /** Cuts the connections to the apps. */
  destroy(): void {
    for (const { upstream } of this.#byPort.values()) upstream.destroy();
  }

  #connect(port: number): ServerConnections {
    const { podIp, connectMs, wrap, timers, tcp, tracker, random } = this.#options;
    const cells = tcp.cells({
      direction: 'inbound',
      peer: 'dst',
      ...targetLabels(podIp, port),
      tls: 'no_identity',
      no_tls_reason: 'loopback',
    });
    const connect = plainDialer({
      host: podIp,
      port,
      localAddress: podIp,
      timeoutMs: connectMs,
      wrap,
      onConnected: (transport) => tracker.track(transport, cells),
    });
    return new ServerConnections({
      connect,
      multiplexes: false,
      keepAlive: false,
      timers,
      responses: this.#responses,
      random,
      onUnused: () => this.#byPort.delete(port),
    });
  }
}
