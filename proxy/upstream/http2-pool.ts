import { causes, type Cause } from '../errors.ts';
import { Http2Connection } from '../http2/connection.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import type { Connect } from './connect.ts';
import type { Reached, Upstream, Waiter } from './upstream.ts';

/** Connections to one peer: few, so that their windows, TLS records and buffers are shared; more than one, so that no single one holds everything up. */
export const MAX_CONNECTIONS = 4;
/** Streams on each connection at which another one is made beside them. Each connection more means smaller batches: as many streams as one read brings. */
export const STREAMS_BEFORE_NEXT = 128;
/** Bytes that wait in a connection for slow receivers, above which it gets no new streams while another can take them. */
export const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** ms after which a connection is replaced, so that load spreads over new replicas and new certificates are used. Up to a fifth is taken off at random. */
export const MAX_AGE_MS = 3_600_000;
/** ms after which an unused connection is closed. */
export const IDLE_MS = 60_000;
/** Requests that wait for a connection: Linkerd's queue. */
export const MAX_WAITING = 10_000;

export interface Http2PoolOptions {
  connect: Connect;
  /** The other end is a proxy of ours. */
  isthmus: boolean;
  /** See `Http2Options.keepAlive`. */
  keepAlive: boolean;
  timers: TimerWheel;
  responses: ResponseSink;
  random: () => number;
  /** No connection, no waiter: the other end may be forgotten. */
  onUnused?: () => void;
}

interface Member {
  readonly connection: Http2Connection;
  readonly timer: Timer;
  readonly bornAt: number;
  readonly maxAgeMs: number;
  /** The wheel's tick at which its last stream ended, or it was made. */
  usedAt: number;
}

/** The shared HTTP/2 connections to one peer proxy under one expected identity, or to one server. */
export class Http2Pool implements Upstream {
  readonly #options: Http2PoolOptions;
  /** Few, and looked through for every request. */
  readonly #members: Member[] = [];
  /** Dialled, and no SETTINGS yet. */
  readonly #handshaking = new Set<Http2Connection>();
  readonly #dials = new Set<() => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #reaching = new Set<Reached>();
  #closed = false;

  constructor(options: Http2PoolOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#members.length;
  }

  get unused(): boolean {
    return this.#members.length + this.#opening + this.#waiters.size === 0;
  }

  take(x: Exchange): RequestSink | undefined {
    const best = this.#leastLoaded();
    if (best === undefined) return undefined;
    if (best.connection.activeStreams >= STREAMS_BEFORE_NEXT) this.#grow();
    return best.connection.open(x) ? best.connection : undefined;
  }

  wait(waiter: Waiter): void {
    if (this.#closed || this.#waiters.size >= MAX_WAITING) {
      queueMicrotask(() => waiter.failed(this.#closed ? causes.shuttingDown : causes.overloaded));
      return;
    }
    this.#waiters.add(waiter);
    this.#grow();
  }

  cancel(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  reach(reached: Reached): () => void {
    this.#reaching.add(reached);
    if (this.#closed) queueMicrotask(() => this.#tellReaching(causes.shuttingDown));
    else if (this.#members.length > 0) queueMicrotask(() => this.#tellReaching(undefined));
    else this.#grow();
    return () => this.#reaching.delete(reached);
  }

  /** Closes at once. */
  destroy(): void {
    this.#closed = true;
    for (const cancel of this.#dials) cancel();
    this.#dials.clear();
    for (const connection of this.#handshaking) connection.destroy();
    for (const { connection } of this.#members.slice()) connection.destroy();
    this.#failWaiters(causes.shuttingDown);
    this.#tellReaching(causes.shuttingDown);
  }

  get #opening(): number {
    return this.#dials.size + this.#handshaking.size;
  }

  #leastLoaded(): Member | undefined {
    const members = this.#members;
    let best: Member | undefined;
    let bestLoad = 0;
    // By index: each request looks here, and an iterator and its results are objects.
    for (let i = 0; i < members.length; i++) {
      const member = members[i];
      if (member === undefined || !member.connection.available) continue;
      const { connection } = member;
      const full = connection.bufferedBytes > MAX_BUFFERED_BYTES ? STREAMS_BEFORE_NEXT * MAX_CONNECTIONS : 0;
      const load = connection.activeStreams + full;
      if (best !== undefined && load >= bestLoad) continue;
      best = member;
      bestLoad = load;
    }
    return best;
  }

  /** Makes one more connection, unless one is being made or the bound is reached. */
  #grow(): void {
    if (this.#closed || this.#opening > 0 || this.#members.length >= MAX_CONNECTIONS) return;
    let cancel: (() => void) | undefined = undefined;
    let done = false;
    const give = this.#options.connect('http2', (connected) => {
      done = true;
      if (cancel !== undefined) this.#dials.delete(cancel);
      if (connected.kind === 'failed') this.#lost(connected.cause);
      else if (connected.kind === 'connected') this.#handshake(connected.transport);
      else this.#otherWay();
    });
    cancel = give;
    if (!done) this.#dials.add(give);
  }

  #otherWay(): void {
    // Behind one address there may be peers of both kinds: those that stand go on.
    if (this.#members.length > 0) return;
    this.#tellReaching(undefined);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.again();
  }

  #handshake(transport: Transport): void {
    const { timers, responses, isthmus, keepAlive } = this.#options;
    let member: Member | undefined;
    const connection = new Http2Connection(transport, {
      side: 'client',
      timers,
      isthmus,
      keepAlive,
      responses,
      onReady: () => {
        this.#handshaking.delete(connection);
        member = this.#admit(connection);
        this.#tellReaching(undefined);
        this.#serve();
      },
      onCapacity: () => {
        if (member !== undefined) member.usedAt = timers.ticks;
        this.#serve();
      },
      onDraining: () => {
        if (member !== undefined) this.#remove(member);
      },
      onClose: (refused) => {
        this.#handshaking.delete(connection);
        if (member !== undefined) this.#remove(member);
        if (member === undefined) this.#lost(refused ? causes.peerRefused : causes.connectFailed);
        else if (this.#waiters.size > 0) this.#grow();
      },
    });
    this.#handshaking.add(connection);
    transport.handler = connection;
  }

  #admit(connection: Http2Connection): Member {
    const { timers, random } = this.#options;
    const member: Member = {
      connection,
      bornAt: timers.now(),
      usedAt: timers.ticks,
      maxAgeMs: MAX_AGE_MS * (1 - random() / 5),
      timer: new Timer(() => this.#look(member)),
    };
    this.#members.push(member);
    timers.arm(member.timer, IDLE_MS);
    return member;
  }

  /** Old or unused for long: let go. */
  #look(member: Member): void {
    const { timers } = this.#options;
    const { connection } = member;
    const idleMs = connection.activeStreams > 0 ? 0 : timers.msOf(timers.ticks - member.usedAt);
    if (timers.now() - member.bornAt >= member.maxAgeMs || idleMs >= IDLE_MS) {
      this.#remove(member);
      connection.drain();
      return;
    }
    timers.arm(member.timer, IDLE_MS - idleMs);
  }

  #remove(member: Member): void {
    const i = this.#members.indexOf(member);
    if (i < 0) return;
    this.#members.splice(i, 1);
    this.#options.timers.cancel(member.timer);
    if (this.#waiters.size > 0) this.#grow();
    if (this.unused) this.#options.onUnused?.();
  }

  /** Gives waiting requests the streams that are free. */
  #serve(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of this.#waiters) {
      const sink = this.take(waiter.x);
      if (sink === undefined) {
        this.#grow();
        return;
      }
      this.#waiters.delete(waiter);
      waiter.connected(sink);
    }
  }

  /** A connection could not be made. While another one stands, those who wait get its streams as they end. */
  #lost(cause: Cause): void {
    if (this.#members.length === 0) {
      this.#failWaiters(cause);
      this.#tellReaching(cause);
    }
    if (this.unused) this.#options.onUnused?.();
  }

  #failWaiters(cause: Cause): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.failed(cause);
  }

  #tellReaching(failure: Cause | undefined): void {
    const reaching = [...this.#reaching];
    this.#reaching.clear();
    for (const reached of reaching) reached(failure);
  }
}
