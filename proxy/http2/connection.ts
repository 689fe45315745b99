import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { FrameDispatch } from './frame-dispatch.ts';
import { LARGEST_FRAME, PREFACE, Setting } from './frames.ts';
import { FrameWriter } from './frame-writer.ts';
import { MAX_HEADER_LIST } from './head-decoder.ts';
import { Incoming } from './incoming.ts';
import { Life } from './life.ts';
import { MAX_CONCURRENT_STREAMS, STREAM_WINDOW } from './limits.ts';
import type { Http2Options } from './options.ts';
import { Outgoing } from './outgoing.ts';
import { Receiver } from './receiver.ts';
import { StreamTable } from './stream-table.ts';

export type { Http2Options } from './options.ts';

/**
 * One HTTP/2 connection (RFC 9113): many exchanges over one transport. Put together of
 *   the frames       `frame-dispatch.ts`, `frame-writer.ts`
 *   the streams      `stream-table.ts`, `incoming.ts` (the peer's side), `outgoing.ts` (ours)
 *   flow control     `receiver.ts`, `sender.ts`, `stall-watch.ts`
 *   its life         `life.ts`
 */
export class Http2Connection implements TransportHandler, RequestSink {
  /** ms of the wheel's clock. */
  readonly createdAt: number;
  readonly #options: Http2Options;
  readonly #table: StreamTable;
  readonly #receiver: Receiver;
  readonly #life: Life;
  readonly #outgoing: Outgoing;
  readonly #dispatch: FrameDispatch;

  constructor(transport: Transport, options: Http2Options) {
    const { timers } = options;
    const server = options.side === 'server';
    const frames = new FrameWriter(transport);
    const table = new StreamTable(server);
    const receiver = new Receiver(frames, timers, table);
    const { keepAlive: asks = true, early = false } = options;
    const life = new Life(
      { server, asks, early, transport, frames, table, timers },
      {
        opened: () => options.onReady?.(),
        draining: () => options.onDraining?.(),
        lost: () => this.#outgoing.endAll(),
      },
    );
    const parts = { server, transport, frames, table, receiver, life, options };
    const outgoing = new Outgoing(parts);
    const incoming = new Incoming({ ...parts, outgoing });
    this.createdAt = timers.now();
    this.#options = options;
    this.#table = table;
    this.#receiver = receiver;
    this.#life = life;
    this.#outgoing = outgoing;
    this.#dispatch = new FrameDispatch(server, life, table, timers, incoming);
    transport.handler = this;
    begin(transport, frames, server);
  }

  /** The peer is one of our proxies. */
  get isthmus(): boolean {
    return this.#options.isthmus;
  }
  /** Client side: may open a stream now. */
  get available(): boolean {
    return this.#life.opens && this.#table.hasRoom;
  }
  /** The peer's SETTINGS have come. */
  get ready(): boolean {
    return this.#life.wasOpen && this.#life.alive;
  }
  get draining(): boolean {
    return this.#life.state === 'draining' || this.#life.state === 'announced';
  }
  get closed(): boolean {
    return !this.#life.alive;
  }
  /** Tick of the wheel at which the peer was heard last. */
  get heardAt(): number {
    return this.#life.heardAt;
  }
  /** Streams under way. */
  get activeStreams(): number {
    return this.#table.size;
  }
  /** Bytes received and not yet consumed, of all streams. */
  get bufferedBytes(): number {
    return this.#receiver.buffered;
  }

  /** Client side: takes a stream for the exchange (`requestHead` follows at once); false when not `available`. */
  open(x: Exchange): boolean {
    return this.#outgoing.open(x);
  }

  /** GOAWAY, no new streams; closes when the last one has ended. */
  drain(): void {
    this.#life.drain();
  }

  /** Closes at once: exchanges are reset. */
  destroy(): void {
    this.#life.destroy();
  }

  // The transport's events.

  onData(buffer: Buffer, start: number, end: number): void {
    this.#dispatch.read(buffer, start, end);
  }

  onDrain(): void {
    this.#outgoing.sender.outputDrained();
  }

  onEnd(): void {
    // HTTP/2 has no use for half a connection.
    this.destroy();
  }

  onClose(): void {
    this.#life.closed();
    this.#options.onClose?.(!this.#life.wasOpen);
  }

  // Requests out (client side).

  requestHead(x: Exchange, head: Head, end: boolean): void {
    this.#outgoing.requestHead(x, head, end);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#outgoing.requestData(x, buffer, start, end, last);
  }
  requestTrailers(x: Exchange, trailers: Head): void {
    this.#outgoing.requestTrailers(x, trailers);
  }
  requestReset(x: Exchange, cause: Cause): void {
    this.#outgoing.requestReset(x, cause);
  }
  responseConsumed(x: Exchange, n: number): void {
    this.#outgoing.responseConsumed(x, n);
  }
}

/** Preface and SETTINGS: the first that the peer hears. */
function begin(transport: Transport, frames: FrameWriter, server: boolean): void {
  if (!server) transport.write(PREFACE, 0, PREFACE.length);
  const settings: [number, number][] = [
    [Setting.maxConcurrentStreams, MAX_CONCURRENT_STREAMS],
    [Setting.initialWindowSize, STREAM_WINDOW],
    [Setting.maxFrameSize, LARGEST_FRAME],
    [Setting.maxHeaderListSize, MAX_HEADER_LIST],
  ];
  if (!server) settings.push([Setting.enablePush, 0]);
  frames.settings(settings);
}
