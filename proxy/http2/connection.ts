import type { Cause } from '../errors.ts';
import type { Exchange, Head, RequestSink, ResponseSink } from '../message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';

export interface Http2Options {
  side: 'server' | 'client';
  timers: TimerWheel;
  /** The peer is one of our proxies (ALPN `isthmus/1`): `:isthmus-*` pseudo-headers are taken, as fields with their ids. From others they are malformed. */
  isthmus: boolean;
  /** Server side: says where a request goes; `requestHead` of the answer is called next, by the codec. */
  route?(x: Exchange, head: Head): RequestSink;
  /** Client side: where responses go; `x.client` when absent. */
  responses?: ResponseSink;
  /** Client side: the peer's SETTINGS have come, requests may be opened. Exactly once, before `onClose`. */
  onReady?(): void;
  /** A stream ended or the peer's limit rose: `available` may have become true. */
  onCapacity?(): void;
  /** The peer said GOAWAY or we drain: take it out of the pool; streams under way go on. At most once. */
  onDraining?(): void;
  /** Exactly once. `refused`: the peer closed before its SETTINGS (it judged our certificate, or is not there). */
  onClose?(refused: boolean): void;
  /** ms that a stream's receiver may take no bytes while some wait; default STALL_DEADLINE_MS. */
  stallMs?: number;
}

/** One HTTP/2 connection (RFC 9113): many exchanges over one transport. */
export declare class Http2Connection implements TransportHandler, RequestSink, ResponseSink {
  constructor(transport: Transport, options: Http2Options);
  /** Client side: may open a stream now (SETTINGS came, not draining, below the peer's limit). */
  readonly available: boolean;
  readonly ready: boolean;
  readonly draining: boolean;
  readonly closed: boolean;
  /** Streams under way. */
  readonly activeStreams: number;
  /** Bytes received and not yet consumed, of all streams. */
  readonly bufferedBytes: number;
  /** ms of the wheel's clock, when it was made. */
  readonly createdAt: number;
  /** Client side: takes a stream for the exchange (`requestHead` follows at once); false when not `available`. */
  open(x: Exchange): boolean;
  /** GOAWAY, no new streams; closes when the last one has ended. */
  drain(): void;
  /** Closes at once: exchanges are reset. */
  destroy(): void;
  onData(buffer: Buffer, start: number, end: number): void;
  onDrain(): void;
  onEnd(): void;
  onClose(): void;
  requestHead(x: Exchange, head: Head, end: boolean): void;
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  requestTrailers(x: Exchange, trailers: Head): void;
  requestReset(x: Exchange, cause: Cause): void;
  responseConsumed(x: Exchange, n: number): void;
  responseHead(x: Exchange, head: Head, end: boolean): void;
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  responseTrailers(x: Exchange, trailers: Head): void;
  responseReset(x: Exchange, cause: Cause): void;
  requestConsumed(x: Exchange, n: number): void;
}
