import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Connect } from './connect.ts';
import { dismiss } from './dial-peer.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import type { Pool, Reached, Upstream, Waiter } from './upstream.ts';

export interface ServerConnectionsOptions {
  connect: Connect;
  /** The other end is a proxy that makes HTTP/1.1 again of what HTTP/2 carries (`orig-proto.ts`): all HTTP goes by shared connections. */
  multiplexes: boolean;
  /** See `Http2Options.keepAlive`. */
  keepAlive: boolean;
  timers: TimerWheel;
  responses: ResponseSink;
  random: () => number;
  /** No connection, no waiter: the server may be forgotten. */
  onUnused: () => void;
}

/** Connections to one server that is no proxy of ours: it is spoken to as the client speaks, HTTP/1.1, HTTP/2 with prior knowledge, or opaque bytes. */
export class ServerConnections implements Upstream {
  readonly #options: ServerConnectionsOptions;
  readonly #http1: Http1Pool;
  /** Few servers are asked by HTTP/2. */
  #http2: Http2Pool | undefined;

  constructor(options: ServerConnectionsOptions) {
    this.#options = options;
    const { connect, timers, responses } = options;
    this.#http1 = new Http1Pool({ connect, timers, responses, onUnused: () => this.#lookUnused() });
  }

  get unused(): boolean {
    return this.#http1.unused && this.#http2?.unused !== false;
  }

  take(x: Exchange): RequestSink | undefined {
    return this.#poolFor(x).take(x);
  }

  wait(waiter: Waiter): void {
    this.#poolFor(waiter.x).wait(waiter);
  }

  cancel(waiter: Waiter): void {
    this.#poolFor(waiter.x).cancel(waiter);
  }

  /** By a connection that is closed again: what it could carry the next request decides. */
  reach(reached: Reached): () => void {
    return this.#options.connect('opaque', (connected) => {
      if (connected.kind === 'failed') return reached(connected.cause);
      if (connected.kind === 'connected') dismiss(connected.transport);
      reached(undefined);
    });
  }

  /** Closes at once, and takes nothing new. */
  destroy(): void {
    this.#http1.destroy();
    this.#http2?.destroy();
  }

  #poolFor(x: Exchange): Pool {
    if (x.opaque || x.upgrade !== 'no' || !(x.http2 || this.#options.multiplexes)) return this.#http1;
    return (this.#http2 ??= this.#openHttp2());
  }

  #openHttp2(): Http2Pool {
    const { connect, keepAlive, timers, responses, random } = this.#options;
    return new Http2Pool({
      connect,
      isthmus: false,
      keepAlive,
      timers,
      responses,
      random,
      onUnused: () => this.#lookUnused(),
    });
  }

  #lookUnused(): void {
    if (this.unused) this.#options.onUnused();
  }
}
