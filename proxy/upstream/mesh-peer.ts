import { causes } from '../errors.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message.ts';
import { encodeTransportHeader } from '../transport-header.ts';
import type { TimerWheel } from '../transport/timers.ts';
import { dismiss, type DialPeer } from './dial-peer.ts';
import { Http1Pool, type PoolConnect } from './http1-pool.ts';
import { Peer } from './peer.ts';
import type { Upstream, Waiter } from './upstream.ts';

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
}

/**
 * One peer proxy under one expected identity. All its targets share connections where it takes `isthmus/1`; where it is Linkerd's, each (name, port) has its own, of
 * HTTP/1.1 or opaque bytes behind a transport header. Which of the two it is, its first connection tells, and every later one may tell otherwise.
 */
export class MeshPeer {
  readonly #options: MeshPeerOptions;
  readonly #isthmus: Peer;
  readonly #pools = new Map<string, Http1Pool>();
  #speaks: 'isthmus' | 'linkerd' = 'isthmus';

  constructor(options: MeshPeerOptions) {
    this.#options = options;
    this.#isthmus = new Peer({
      ...options,
      onOtherProtocol: () => {
        this.#speaks = 'linkerd';
      },
      onUnused: () => this.#lookUnused(),
    });
  }

  /** Connections of `isthmus/1`. */
  get connections(): number {
    return this.#isthmus.connections;
  }

  get unused(): boolean {
    return this.#isthmus.unused && this.#pools.size === 0;
  }

  /** The way to one target behind the peer. */
  way(target: PeerTarget): Upstream {
    return new Way(
      () => (this.#speaks === 'isthmus' ? this.#isthmus : this.#pool(target)),
      (waiter) => {
        this.#isthmus.cancel(waiter);
        this.#pools.get(keyOf(target))?.cancel(waiter);
      },
    );
  }

  destroy(): void {
    this.#isthmus.destroy();
    for (const pool of this.#pools.values()) pool.destroy();
  }

  #pool(target: PeerTarget): Http1Pool {
    const key = keyOf(target);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const { timers, responses } = this.#options;
    const pool: Http1Pool = new Http1Pool({
      connect: this.#connect(target),
      timers,
      responses,
      onUnused: () => {
        if (this.#pools.get(key) === pool) this.#pools.delete(key);
        this.#lookUnused();
      },
    });
    this.#pools.set(key, pool);
    return pool;
  }

  #connect(target: PeerTarget): PoolConnect {
    const { dial, dialPort } = this.#options;
    const isAppsPort = target.name === '' && target.port === dialPort;
    return (opaque, callback) =>
      dial((dialled) => {
        if (dialled.kind === 'failed') return callback(dialled);
        const { protocol, transport } = dialled;
        if (protocol === 'linkerd') {
          const header = encodeTransportHeader({ ...target, protocol: opaque ? undefined : 'http1' });
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
  readonly #now: () => Upstream;
  readonly #cancel: (waiter: Waiter) => void;

  constructor(now: () => Upstream, cancel: (waiter: Waiter) => void) {
    this.#now = now;
    this.#cancel = cancel;
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
}

function keyOf({ name, port }: PeerTarget): string {
  return `${name}:${port}`;
}
