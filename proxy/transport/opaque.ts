import type { Cause } from '../errors.ts';
import type { Exchange, Head, RequestSink, ResponseSink } from '../message.ts';
import type { Transport, TransportHandler } from './transport.ts';

/** A connection from a client whose bytes are opaque: one exchange with `x.opaque`. Bytes are the request, half-close ends it; the response's bytes go back. */
export declare class OpaqueServerConnection implements TransportHandler, ResponseSink {
  /** `start` sends the head that the caller built (method CONNECT, target fields) and then `early`, bytes that were read before. */
  constructor(transport: Transport, route: (x: Exchange) => RequestSink, onClose?: () => void);
  readonly exchange: Exchange;
  start(head: Head, early: Buffer): void;
  onData(buffer: Buffer, start: number, end: number): void;
  onDrain(): void;
  onEnd(): void;
  onClose(): void;
  responseHead(x: Exchange, head: Head, end: boolean): void;
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  responseTrailers(x: Exchange, trailers: Head): void;
  responseReset(x: Exchange, cause: Cause): void;
  requestConsumed(x: Exchange, n: number): void;
}

/** A connection to a server whose bytes are opaque. `requestHead` answers 200 at once (the connection is up); request data is written as it is. */
export declare class OpaqueClientConnection implements TransportHandler, RequestSink {
  constructor(transport: Transport, responses?: ResponseSink, onClose?: () => void);
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
