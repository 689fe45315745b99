import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import type { Outcome } from './http-metrics.ts';

/** Follows the requests of one stack one by one: the access log, traces. */
export interface RequestObserver {
  /** A request comes in. May write trace context into the head. @returns who follows it; undefined: nobody */
  begin(x: Exchange, head: Head): Observed | undefined;
}

/** One request that is followed. */
export interface Observed {
  /** Bytes of the bodies so far. */
  requestBytes: number;
  responseBytes: number;
  /** It is over. Comes once. */
  end(x: Exchange, outcome: Outcome): void;
}
