import type { ConnectionOptions } from 'node:tls';
import type { Clock } from './clock.ts';

/**
 * HTTP/2 as a gRPC client needs it. Two makers stand behind it: Node's own (`node-http2.ts`) and the data plane's
 * (`proxy/control/http2-session.ts`, decision 0014). What gRPC means by it, its deadlines and its back-off are no
 * engine's business: `grpc-client.ts`, `grpc-connection.ts`.
 */

/** Where to connect to, and how. */
export interface Http2Target {
  host: string;
  port: number;
  /** With ALPN `h2`; judges the peer inside the handshake. */
  tls: ConnectionOptions;
  /** Source address. */
  localAddress?: string;
  /** `tls` shows no certificate of ours: the peer has nothing to judge, so the connection is ready with its handshake, and requests follow at once. */
  anonymous?: boolean;
  clock: Clock;
}

/** What a connection tells; never within the call that makes it. */
export interface Http2Events {
  /**
   * It takes requests. The peer's SETTINGS have come: in TLS 1.3 only they show that it took our certificate. Without
   * one they are not waited for. At most once.
   */
  ready(): void;
  /** It takes no new streams any more (GOAWAY); those under way go on. At most once. */
  draining(): void;
  /** Exactly once and last, also after `destroy`. */
  closed(error: Error | undefined): void;
}

/** One connection. A peer that has been silent for long is asked by PING, and dropped when it does not answer. */
export interface Http2Session {
  /** Takes a stream now. */
  readonly available: boolean;
  /** Opens a stream, when `available`. */
  request(head: RequestHead, events: StreamEvents): Http2Stream;
  /** Closes at once; streams end as lost. */
  destroy(): void;
}

/** Starts to connect. There is no time limit: who asked gives up by `destroy`. */
export type Http2Connect = (target: Http2Target, events: Http2Events) => Http2Session;

/** A POST. */
export interface RequestHead {
  authority: string;
  path: string;
  /** Names in lower case. */
  fields: Readonly<Record<string, string>>;
}

/** Our half of a stream. Nothing happens to it once it has closed. */
export interface Http2Stream {
  /** Queues bytes; they are not copied. */
  write(bytes: Buffer): void;
  /** Says that no more follow. */
  end(): void;
  /** So many bytes of what `data` handed over were taken: the peer may send as many again. */
  consumed(bytes: number): void;
  /** Gives the stream up (RST_STREAM with CANCEL); no event follows. */
  cancel(): void;
}

/** The value of a field by its name in lower case; undefined when it is missing. Only valid during the call that hands it over. */
export type Fields = (name: string) => string | undefined;

/** The peer's half. */
export interface StreamEvents {
  /** The final head. */
  head(status: number, fields: Fields): void;
  /**
   * The receiver keeps the bytes, and says by `Http2Stream.consumed` when it has taken them: until then they count
   * against the stream's window.
   */
  data(bytes: Buffer): void;
  trailers(fields: Fields): void;
  /** Exactly once and last, unless the stream is cancelled. */
  closed(end: StreamEnd): void;
}

/** How a stream ended. */
export type StreamEnd =
  /** The peer ended it (`code` 0) or reset it with a code of RFC 9113 section 7. */
  | { kind: 'closed'; code: number }
  /** With its connection. */
  | { kind: 'lost'; reason: string };
