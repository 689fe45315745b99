import { Timer } from '../transport/timers.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import { ErrorCode, MAX_WINDOW } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import {
  DRAIN_GRACE_MS,
  FAIL_GRACE_MS,
  PING_AFTER_MS,
  PING_ANSWER_MS,
  SETTINGS_TIMEOUT_MS,
} from './limits.ts';
import type { StreamTable } from './stream-table.ts';

/**
 * settings: the peer's SETTINGS have not come. open: streams come and go. announced: a server has said GOAWAY, and the peer may not have heard it. draining: no
 * new streams, those under way go on. failing: a GOAWAY with an error is on its way out. closed. One writer: `Life`.
 */
export type LifeState = 'settings' | 'open' | 'announced' | 'draining' | 'failing' | 'closed';

/** What a life stands on. */
export interface LifeOptions {
  readonly server: boolean;
  /** A silent peer is asked by PING. */
  readonly asks: boolean;
  /** Streams may be opened before the peer's SETTINGS have come. */
  readonly early: boolean;
  readonly transport: Transport;
  readonly frames: FrameWriter;
  readonly table: StreamTable;
  readonly timers: TimerWheel;
}

/** What the connection is told of its life. */
export interface LifeEvents {
  /** The peer's SETTINGS have come: at most once. */
  opened(): void;
  /** Take the connection out of the pool: at most once. */
  draining(): void;
  /** Nothing goes on: streams that are under way must end. */
  lost(): void;
}

const KEEP_ALIVE_PAYLOAD = Buffer.from('isthmus\0');
const DRAIN_PAYLOAD = Buffer.from('goaway\0\0');

/** The life of a connection: it waits for SETTINGS, asks a silent peer by PING, drains by GOAWAY, and ends. */
export class Life {
  readonly #server: boolean;
  readonly #transport: Transport;
  readonly #frames: FrameWriter;
  readonly #table: StreamTable;
  readonly #timers: TimerWheel;
  readonly #asks: boolean;
  readonly #early: boolean;
  readonly #events: LifeEvents;
  /** SETTINGS at first, then PING. */
  readonly #keepAlive = new Timer(() => this.#keepAliveDue());
  /** The grace of a drain, or of a failure. */
  readonly #grace = new Timer(() => this.#graceOver());
  #state: LifeState = 'settings';
  /** The wheel's tick at which bytes came last. */
  #heardAt: number;
  /** A PING of ours is not answered yet. */
  #pinged = false;
  /** ms, to a tick of the wheel: when the last one went. */
  #pingedAt = -PING_AFTER_MS;
  #toldDraining = false;
  #wasOpen = false;

  constructor(options: LifeOptions, events: LifeEvents) {
    this.#server = options.server;
    this.#asks = options.asks;
    this.#early = options.early;
    this.#transport = options.transport;
    this.#frames = options.frames;
    this.#table = options.table;
    this.#timers = options.timers;
    this.#events = events;
    this.#heardAt = options.timers.ticks;
    options.timers.arm(this.#keepAlive, SETTINGS_TIMEOUT_MS);
  }

  get state(): LifeState {
    return this.#state;
  }
  /** New streams may be opened. */
  get opens(): boolean {
    return this.#state === 'open' || (this.#early && this.#state === 'settings');
  }
  /** Frames still count. */
  get alive(): boolean {
    return this.#state !== 'closed' && this.#state !== 'failing';
  }
  /** The wheel's tick at which bytes came last. */
  get heardAt(): number {
    return this.#heardAt;
  }
  /** The peer's SETTINGS have come at some time. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** Bytes have come. */
  heard(): void {
    this.#heardAt = this.#timers.ticks;
  }

  /** The peer's first SETTINGS have come. */
  open(): void {
    this.#wasOpen = true;
    if (this.#asks) this.#timers.arm(this.#keepAlive, PING_AFTER_MS);
    else this.#timers.cancel(this.#keepAlive);
    if (this.#state !== 'settings') return;
    this.#state = 'open';
    this.#events.opened();
  }

  /** GOAWAY, no new streams; closes when the last one has ended. */
  drain(): void {
    if (this.#state === 'settings' && !this.#server) this.destroy();
    if (this.#state !== 'settings' && this.#state !== 'open') return;
    if (this.#server) {
      // RFC 9113 section 6.8: streams that the peer has opened meanwhile are still answered; its PING's answer says that it has heard.
      this.#state = 'announced';
      this.#frames.goaway(MAX_WINDOW, ErrorCode.none);
      this.#frames.ping(DRAIN_PAYLOAD, 0, false);
      this.#timers.arm(this.#grace, DRAIN_GRACE_MS);
      this.#tellDraining();
    } else {
      this.#state = 'draining';
      this.#frames.goaway(0, ErrorCode.none);
      this.#tellDraining();
      this.closeWhenDrained();
    }
  }

  /** The answer to one of our PINGs: `buffer[start, start + 8)`. */
  pingAnswered(buffer: Buffer, start: number): void {
    const end = start + DRAIN_PAYLOAD.length;
    if (DRAIN_PAYLOAD.compare(buffer, start, end) === 0) this.#finishDrain();
    else if (KEEP_ALIVE_PAYLOAD.compare(buffer, start, end) === 0) this.#pinged = false;
  }

  /**
   * The peer asks whether anybody is here: maybe nothing of ours arrives any more, while we hear it well. Two that ask
   * each other do so once in `PING_AFTER_MS`.
   */
  asked(): void {
    const isDue = this.#timers.lastTick - this.#pingedAt >= PING_AFTER_MS;
    if (this.#asks && isDue && this.alive && this.#state !== 'settings') this.#ask();
  }

  /** The peer has said GOAWAY: it opens no new streams, or takes none. */
  peerDrains(): void {
    if (!this.alive) return;
    if (this.#server) this.#table.acceptNoMore();
    this.#state = 'draining';
    this.#tellDraining();
  }

  /** Call when a stream has ended. */
  closeWhenDrained(): void {
    if (this.#state !== 'draining' || this.#table.size > 0) return;
    this.#transport.end();
    this.#timers.arm(this.#grace, DRAIN_GRACE_MS);
  }

  /** A connection error (RFC 9113 section 5.4.1): the GOAWAY that tells it gets a moment to leave, which a write under way may need. */
  fail(code: number): void {
    if (!this.alive) return;
    this.#frames.goaway(this.#table.lastPeerId, code);
    this.#state = 'failing';
    this.#timers.cancel(this.#keepAlive);
    this.#timers.arm(this.#grace, FAIL_GRACE_MS);
    this.#transport.end();
    this.#events.lost();
  }

  /** Closes at once. */
  destroy(): void {
    this.#transport.destroy();
    this.#state = 'closed';
    this.#events.lost();
  }

  /** The transport is gone. */
  closed(): void {
    this.#timers.cancel(this.#keepAlive);
    this.#timers.cancel(this.#grace);
    this.#state = 'closed';
    this.#events.lost();
  }

  #graceOver(): void {
    if (this.#state === 'announced') this.#finishDrain();
    // The peer has had its time to close its side.
    else if (this.#state === 'failing' || this.#table.size === 0) this.destroy();
  }

  #finishDrain(): void {
    if (this.#state !== 'announced') return;
    this.#timers.cancel(this.#grace);
    this.#state = 'draining';
    this.#table.acceptNoMore();
    this.#frames.goaway(this.#table.lastPeerId, ErrorCode.none);
    this.closeWhenDrained();
  }

  #tellDraining(): void {
    if (this.#toldDraining) return;
    this.#toldDraining = true;
    this.#events.draining();
  }

  #keepAliveDue(): void {
    const silentMs = this.#timers.msOf(this.#timers.ticks - this.#heardAt);
    if (this.#state === 'settings') {
      this.fail(ErrorCode.settingsTimeout);
    } else if (this.#pinged) {
      if (silentMs >= PING_ANSWER_MS) return this.destroy();
      // What comes may lie before the answer.
      this.#timers.arm(this.#keepAlive, PING_ANSWER_MS - silentMs);
    } else if (silentMs < PING_AFTER_MS) this.#timers.arm(this.#keepAlive, PING_AFTER_MS - silentMs);
    else this.#ask();
  }

  #ask(): void {
    this.#pinged = true;
    this.#pingedAt = this.#timers.lastTick;
    this.#frames.ping(KEEP_ALIVE_PAYLOAD, 0, false);
    this.#timers.arm(this.#keepAlive, PING_ANSWER_MS);
  }
}
