import { causes } from '../errors.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import { encodeTransportHeader } from '../detect/transport-header.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Connect } from './connect.ts';
import { dismiss, type DialPeer } from './dial-peer.ts';
import { Http2Pool } from './http2-pool.ts';
import { ServerConnections } from './server-connections.ts';
import type { Pool, Reached, Upstream, Waiter } from './upstream.ts';

export interface MeshPeerOptions {
  dial: DialPeer;
  /** Port that is dialled: a connection to it without ALPN is for the app that listens there. */
  dialPort: number;
  timers: TimerWheel;
  responses: ResponseSink;
  random: () => number;
  /** No connection, no waiter: the peer may be forgotten. */
  onUnused: () => void;
}

/** What a request is for behind the peer. */
export interface PeerTarget {
  readonly port: number;
  /** Name of an exported service; empty: `port` of the peer's own pod. */
  readonly name: string;
  /** Where the peer is Linkerd's: it takes HTTP/1.1 in HTTP/2. */
  readonly multiplexes: boolean;
}

/**
 * One peer proxy under one expected identity. All its targets share connections where it takes `isthmus/1`; where it is
 * Linkerd's, each (name, port) has its own, of HTTP or opaque bytes behind a transport header. Which of the two it is,
 * its first connection tells, and every later one may tell otherwise.
 */
export class MeshPeer {
  readonly #options: MeshPeerOptions;
  readonly #isthmus: Http2Pool;
  readonly #servers = new Map<string, ServerConnections>();
  #speaks: 'isthmus' | 'linkerd' = 'isthmus';

  constructor(options: MeshPeerOptions) {
    this.#options = options;
    const { timers, responses, random } = options;
    this.#isthmus = new Http2Pool({
      connect: (_carries, callback) => this.#connectIsthmus(callback),
      isthmus: true,
      keepAlive: true,
      timers,
      responses,
      random,
      onUnused: () => this.#lookUnused(),
    });
  }

  /** Connections of `isthmus/1`. */
  get connections(): number {
    return this.#isthmus.connections;
  }

  get unused(): boolean {
    return this.#isthmus.unused && this.#servers.size === 0;
  }

  /** The way to one target behind the peer. */
  way(target: PeerTarget): Upstream {
    return new Way(
      () => (this.#speaks === 'isthmus' ? this.#isthmus : this.#server(target)),
      (waiter) => {
        this.#isthmus.cancel(waiter);
        this.#servers.get(keyOf(target))?.cancel(waiter);
      },
      (reached) => this.#reach(reached),
    );
  }

  destroy(): void {
    this.#isthmus.destroy();
    for (const server of this.#servers.values()) server.destroy();
  }

  /** Connections of Linkerd's kind are each for one target: this one is for none, and closed again. */
  #reach(reached: Reached): () => void {
    if (this.#speaks === 'isthmus') return this.#isthmus.reach(reached);
    return this.#options.dial((dialled) => {
      if (dialled.kind === 'failed') return reached(dialled.cause);
      dismiss(dialled.transport);
      reached(undefined);
    });
  }

  #connectIsthmus(callback: Parameters<Connect>[1]): () => void {
    return this.#options.dial((dialled) => {
      if (dialled.kind === 'failed' || dialled.protocol === 'isthmus')
        return callback(dialled.kind === 'failed' ? dialled : { ...dialled, kind: 'connected' });
      dismiss(dialled.transport);
      // Behind one address there may be peers of both kinds.
      if (this.#isthmus.connections === 0) this.#speaks = 'linkerd';
      callback({ kind: 'again' });
    });
  }

  #server(target: PeerTarget): ServerConnections {
    const key = keyOf(target);
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const { timers, responses, random } = this.#options;
    const server: ServerConnections = new ServerConnections({
      connect: this.#connectTo(target),
      multiplexes: target.multiplexes,
      keepAlive: true,
      timers,
      responses,
      random,
      onUnused: () => {
        if (this.#servers.get(key) === server) this.#servers.delete(key);
        this.#lookUnused();
      },
    });
    this.#servers.set(key, server);
    return server;
  }

  #connectTo(target: PeerTarget): Connect {
    const { dial, dialPort } = this.#options;
    const isAppsPort = target.name === '' && target.port === dialPort;
    return (carries, callback) =>
      dial((dialled) => {
        if (dialled.kind === 'failed') return callback(dialled);
        const { protocol, transport } = dialled;
        if (protocol === 'linkerd') {
          const session = carries === 'opaque' ? undefined : carries;
          const header = encodeTransportHeader({ ...target, protocol: session });
          transport.write(header, 0, header.length);
          // A record of its own, as Linkerd's proxy sends it.
          transport.flush();
        } else if (protocol === 'isthmus') {
          dismiss(transport);
          this.#speaks = 'isthmus';
          return callback({ kind: 'again' });
        } else if (!isAppsPort) {
          dismiss(transport);
          return callback({ kind: 'failed', cause: causes.peerRefused });
        }
        callback({ kind: 'connected', transport });
      });
  }

  #lookUnused(): void {
    if (this.unused) this.#options.onUnused();
  }
}

/** One target behind a peer, by whichever protocol the peer speaks now. */
class Way implements Upstream {
  readonly #now: () => Pool;
  readonly #cancel: (waiter: Waiter) => void;
  readonly #reach: (reached: Reached) => () => void;

  constructor(now: () => Pool, cancel: (waiter: Waiter) => void, reach: (reached: Reached) => () => void) {
    this.#now = now;
    this.#cancel = cancel;
    this.#reach = reach;
  }

  take(x: Exchange): RequestSink | undefined {
    return this.#now().take(x);
  }

  wait(waiter: Waiter): void {
    this.#now().wait(waiter);
  }

  cancel(waiter: Waiter): void {
    this.#cancel(waiter);
  }

  reach(reached: Reached): () => void {
    return this.#reach(reached);
  }
}

function keyOf({ name, port, multiplexes }: PeerTarget): string {
  return `${name}:${port}${multiplexes ? '|h2' : ''}`;
}
