import type { Cause } from '../errors.ts';
import type { Exchange, Head, RequestSink, ResponseSink } from '../message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';

export interface Http1ServerOptions {
  timers: TimerWheel;
  /** Says where a request goes; `requestHead` of the answer is called next, by the codec. */
  route(x: Exchange, head: Head): RequestSink;
  /**
   * CONNECT: a cause refuses it; a function accepts it: it is called after the 200 has been written, with the transport (set its handler at once) and the bytes
   * that came behind the head (a copy). Absent: CONNECT is refused.
   */
  onConnect?(head: Head): Cause | ((transport: Transport, rest: Buffer) => void);
  /** Exactly once, when the connection is gone. */
  onClose?(): void;
}

/** One HTTP/1.x connection from a client: requests in, responses out. `x.client` of its exchanges is the connection. */
export declare class Http1ServerConnection implements TransportHandler, ResponseSink {
  constructor(transport: Transport, options: Http1ServerOptions);
  /** No more requests: closes when idle, else after the response under way (which says `connection: close`). */
  drain(): void;
  /** No request is under way. */
  readonly idle: boolean;
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
