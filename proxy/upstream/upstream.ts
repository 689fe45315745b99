import type { Cause } from '../errors.ts';
import type { Exchange, RequestSink } from '../message/message.ts';

/** A request that wants a connection. */
export interface Waiter {
  readonly x: Exchange;
  /** The connection stands; its codec is told of the request next. */
  connected(sink: RequestSink): void;
  /** None could be made. Nothing was sent. */
  failed(cause: Cause): void;
  /** The way there is another one than was thought: take or wait anew. Nothing was sent. */
  again(): void;
}

/** Told whether anybody is there: `failure` is why nobody could be reached, undefined that somebody was. */
export type Reached = (failure: Cause | undefined) => void;

/** Connections that take requests. */
export interface Pool {
  /** A connection that can take the exchange now: `requestHead` must follow at once. */
  take(x: Exchange): RequestSink | undefined;
  /** Makes one, or waits for one: exactly one call of the waiter follows, later, unless it is cancelled. */
  wait(waiter: Waiter): void;
  cancel(waiter: Waiter): void;
}

/** The connections to one place. */
export interface Upstream extends Pool {
  /**
   * Finds out without a request whether anybody is there: by a connection that stands, or one that is made, and kept
   * where the next requests can share it. Calls back exactly once, later, unless it is given up by what is returned.
   */
  reach(reached: Reached): () => void;
}
