import { causes } from '../errors.ts';
import { Http1ClientConnection, type Http1ClientOptions } from '../http1/client-connection.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import { OpaqueClientConnection } from '../transport/opaque.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import type { Connect } from './connect.ts';
import type { Pool, Waiter } from './upstream.ts';

/** Connections to one server: an HTTP/1.1 connection carries one exchange at a time, so this is also how many exchanges run there at once. */
export const MAX_CONNECTIONS = 1_000;
/** Requests that wait for one. */
export const MAX_WAITING = 10_000;
/** ms that an unused connection is kept. Below the 5 s after which Node's servers, the shortest of the usual ones, close theirs. */
export const IDLE_MS = 4_000;

/** ms that a request waits for a descriptor where the process has none left: others end meanwhile, and accepts are held back. */
export const STARVED_MS = 1_000;
/** ms until it is looked whether there is one, where no connection to the same server comes free before. */
const STARVED_RETRY_MS = 100;

export interface PoolOptions {
  connect: Connect;
  timers: TimerWheel;
  responses: ResponseSink;
  onUnused?: () => void;
}

/** Connections to one server: HTTP/1.1 with keep-alive, and opaque ones of a single exchange each. */
export class Http1Pool implements Pool {
  readonly #options: PoolOptions;
  /** For all connections: what is asked for at each request is then in the processor's cache. */
  readonly #ofConnections: Http1ClientOptions;
  /** Most recently used last. */
  readonly #idle: Http1ClientConnection[] = [];
  readonly #open = new Map<Http1ClientConnection | OpaqueClientConnection, Transport>();
  readonly #dials = new Map<Waiter, () => void>();
  /** Beyond MAX_CONNECTIONS, or beyond the descriptors that there are. */
  readonly #queue = new Set<Waiter>();
  /** Of the latter: since when they wait, ms. */
  readonly #starved = new Map<Waiter, number>();
  readonly #starvedTimer = new Timer(() => this.#lookStarved());
  readonly #idleTimer = new Timer(() => this.#closeIdle());
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#ofConnections = {
      timers: options.timers,
      responses: options.responses,
      onIdle: (idle) => this.#becameIdle(idle),
      onClose: (closed) => this.#gone(closed),
    };
  }

  get unused(): boolean {
    return this.#open.size + this.#dials.size + this.#queue.size === 0;
  }

  take(x: Exchange): RequestSink | undefined {
    if (x.opaque) return undefined;
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.reusable) return connection;
    }
  }

  wait(waiter: Waiter): void {
    if (this.#closed || this.#queue.size >= MAX_WAITING) {
      queueMicrotask(() => waiter.failed(this.#closed ? causes.shuttingDown : causes.overloaded));
    } else if (this.#open.size + this.#dials.size >= MAX_CONNECTIONS) {
      this.#queue.add(waiter);
    } else this.#dial(waiter);
  }

  cancel(waiter: Waiter): void {
    this.#dequeue(waiter);
    const cancel = this.#dials.get(waiter);
    if (cancel === undefined) return;
    this.#dials.delete(waiter);
    cancel();
    this.#next();
  }

  /** Closes at once, and takes nothing new. */
  destroy(): void {
    this.#closed = true;
    for (const [waiter, cancel] of this.#dials) {
      this.#starved.delete(waiter);
      cancel();
    }
    this.#dials.clear();
    for (const transport of this.#open.values()) transport.destroy();
  }

  #dial(waiter: Waiter): void {
    let done = false;
    const cancel = this.#options.connect(waiter.x.opaque ? 'opaque' : 'http1', (connected) => {
      done = true;
      this.#dials.delete(waiter);
      if (connected.kind === 'failed' && connected.cause === causes.overloaded && !this.#closed)
        return this.#starve(waiter);
      this.#starved.delete(waiter);
      if (connected.kind === 'connected') {
        waiter.connected(this.#connection(connected.transport, waiter.x));
        if (this.#starved.size > 0) this.#next();
        return;
      }
      if (connected.kind === 'failed') waiter.failed(connected.cause);
      else waiter.again();
      this.#next();
      if (this.unused) this.#options.onUnused?.();
    });
    if (!done) this.#dials.set(waiter, cancel);
  }

  #connection(transport: Transport, x: Exchange): RequestSink {
    const { responses } = this.#options;
    if (x.opaque) {
      const opaque: OpaqueClientConnection = new OpaqueClientConnection(transport, responses, () =>
        this.#gone(opaque),
      );
      this.#open.set(opaque, transport);
      transport.handler = opaque;
      return opaque;
    }
    const connection = new Http1ClientConnection(transport, this.#ofConnections);
    this.#open.set(connection, transport);
    transport.handler = connection;
    return connection;
  }

  #becameIdle(connection: Http1ClientConnection): void {
    if (this.#closed) return connection.destroy();
    for (const waiter of this.#queue) {
      if (waiter.x.opaque) continue;
      this.#dequeue(waiter);
      waiter.connected(connection);
      return;
    }
    this.#idle.push(connection);
    if (!this.#idleTimer.armed) this.#options.timers.arm(this.#idleTimer, IDLE_MS);
  }

  #gone(connection: Http1ClientConnection | OpaqueClientConnection): void {
    this.#open.delete(connection);
    const i = connection instanceof Http1ClientConnection ? this.#idle.indexOf(connection) : -1;
    if (i >= 0) this.#idle.splice(i, 1);
    this.#next();
    if (this.unused) this.#options.onUnused?.();
  }

  /** There is room for another connection. */
  #next(): void {
    if (this.#open.size + this.#dials.size >= MAX_CONNECTIONS) return;
    for (const waiter of this.#queue) {
      this.#queue.delete(waiter);
      this.#dial(waiter);
      return;
    }
  }

  /** There was no descriptor for its connection. */
  #starve(waiter: Waiter): void {
    const { timers } = this.#options;
    if (!this.#starved.has(waiter)) this.#starved.set(waiter, timers.now());
    this.#queue.add(waiter);
    if (!this.#starvedTimer.armed) timers.arm(this.#starvedTimer, STARVED_RETRY_MS);
  }

  #lookStarved(): void {
    const { timers, onUnused } = this.#options;
    const oldest = timers.now() - STARVED_MS;
    for (const [waiter, since] of this.#starved) {
      if (since > oldest) break;
      // It is being tried once more.
      if (!this.#queue.has(waiter)) continue;
      this.#dequeue(waiter);
      waiter.failed(causes.overloaded);
    }
    if (this.#starved.size > 0) timers.arm(this.#starvedTimer, STARVED_RETRY_MS);
    this.#next();
    if (this.unused) onUnused?.();
  }

  #dequeue(waiter: Waiter): void {
    this.#queue.delete(waiter);
    this.#starved.delete(waiter);
  }

  #closeIdle(): void {
    const { timers } = this.#options;
    const oldest = timers.ticks - timers.ticksOf(IDLE_MS);
    // `destroy` takes connections out of the list.
    const old = this.#idle.filter((connection) => connection.idleSince <= oldest);
    for (const connection of old) connection.destroy();
    const [next] = this.#idle;
    if (next !== undefined) timers.arm(this.#idleTimer, timers.msOf(next.idleSince - oldest));
  }
}
