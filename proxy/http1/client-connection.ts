import type { Cause } from '../errors.ts';
import type { Exchange, Head, RequestSink, ResponseSink } from '../message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';

export interface Http1ClientOptions {
  timers: TimerWheel;
  /** Where responses go; `x.client` when absent. */
  responses?: ResponseSink;
  /** The exchange is over and the connection may carry another one. */
  onIdle?(connection: Http1ClientConnection): void;
  /** Exactly once: the connection is gone and must leave the pool. */
  onClose?(connection: Http1ClientConnection): void;
}

/** One HTTP/1.1 connection to a server: one exchange at a time; the caller pools it. */
export declare class Http1ClientConnection implements TransportHandler, RequestSink {
  constructor(transport: Transport, options: Http1ClientOptions);
  /** Idle and open: may take an exchange now. */
  readonly reusable: boolean;
  /** ms of the wheel's clock since when it has been idle. */
  readonly idleSince: number;
  /** Closes; an exchange under way is reset. */
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
}
