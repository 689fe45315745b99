import type { ConnectionOptions } from 'node:tls';
import type { Method } from '../api/proto/methods.ts';
import type { Clock } from './clock.ts';
import type { GrpcError } from './grpc-error.ts';
import type { Http2Connect } from './http2.ts';
import type { Resolve } from './resolver.ts';
import type { Logger } from './types.ts';

/** Options of one call. */
export interface CallOptions {
  /** ms; the call ends with DEADLINE_EXCEEDED after it. None: no limit (streams). */
  deadlineMs?: number;
  metadata?: Readonly<Record<string, string>>;
}

/** What a stream tells. `end` comes exactly once and last; undefined means status OK. */
export interface StreamHandlers<T> {
  message(message: T): void;
  end(error: GrpcError | undefined): void;
}

/** A running call. */
export interface Call {
  /** Ends the call; `end` follows with CANCELLED. */
  cancel(): void;
}

/** A running call with messages to send. */
export interface BidiCall<I> extends Call {
  send(message: I): void;
  /** Says that no more messages follow. */
  closeSend(): void;
}

/** gRPC to one address. Connects at the first call, or when it is told to; a broken connection is made anew at the next call, after a jittered back-off. */
export interface Channel {
  /** Rejects with a `GrpcError`. */
  unary<I extends object, O extends object>(
    method: Method<'unary', I, O>,
    message: I,
    options?: CallOptions,
  ): Promise<O>;
  serverStream<I extends object, O extends object>(
    method: Method<'server-stream', I, O>,
    message: I,
    handlers: StreamHandlers<O>,
    options?: CallOptions,
  ): Call;
  bidiStream<I extends object, O extends object>(
    method: Method<'bidi-stream', I, O>,
    handlers: StreamHandlers<O>,
    options?: CallOptions,
  ): BidiCall<I>;
  /** Connects now where there is no connection, once: the next call need not wait for it then. What goes wrong the calls tell. */
  connect(): void;
  /** Ends all calls with CANCELLED. */
  close(): void;
}

/** TLS options of a channel's connections, asked for each connection; undefined: not ready yet, the attempt fails and is made again later. */
export type ChannelTls = () => ConnectionOptions | undefined;

export interface ChannelOptions {
  /** `host:port`. */
  address: string;
  resolve: Resolve;
  tls: ChannelTls;
  /** SNI; default: what `tls` says. */
  serverName?: string;
  /** Source address of connections. */
  localAddress?: string;
  /** `tls` shows no certificate of ours. */
  anonymous?: boolean;
  /** Default: Node's HTTP/2. */
  connect?: Http2Connect;
  logger: Logger;
  clock?: Clock;
  random?: () => number;
}
