import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import type { TimerWheel } from '../transport/timers.ts';

/** What a connection needs. */
export interface Http2Options {
  side: 'server' | 'client';
  timers: TimerWheel;
  /** The peer is one of our proxies (ALPN `isthmus/1`): `:isthmus-*` pseudo-headers are taken, as fields with their ids. From others they are malformed. */
  isthmus: boolean;
  /**
   * A silent peer is asked by PING whether it is there (default). Not so servers that are no proxies: those of gRPC
   * take a PING in five minutes for an attack, and close.
   */
  keepAlive?: boolean;
  /**
   * Client side: streams are opened before the peer's SETTINGS have come (RFC 9113 section 3.4). Only where the peer
   * has nothing to judge: with a certificate of ours it may refuse us, and what was sent by then is lost.
   */
  early?: boolean;
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
  /** A head that was refused before there was an exchange; for counting. */
  onRefused?(cause: Cause): void;
  /** Exactly once. `refused`: the peer closed before its SETTINGS (it judged our certificate, or is not there). */
  onClose?(refused: boolean): void;
  /** ms that a stream's receiver may take no bytes while some wait. */
  stallMs?: number;
}
