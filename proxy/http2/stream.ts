import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { Backlog } from './backlog.ts';
import { NO_BACKLOG } from './backlog.ts';

/** RFC 9113 section 5.1. A stream has an object from its HEADERS on, and push is off: so there is no idle and no reserved one. */
export type StreamState = 'open' | 'half-closed-local' | 'half-closed-remote' | 'closed';

/** One stream. Who writes what: `state` the table, windows and queue of the sending half the sender, those of the receiving half the receiver. */
export class Stream {
  readonly id: number;
  readonly exchange: Exchange;
  /** Where it is under way; undefined when it has been forgotten. */
  table: object | undefined;
  state: StreamState = 'open';
  /** Server side: takes the request. */
  sink: RequestSink | undefined = undefined;
  /** Bytes that we may still send; negative after the peer shrank its window. */
  sendWindow: number;
  /** Bytes that the peer may still send; and how many it may have under way to the receiver at all. */
  receiveWindow: number;
  window: number;
  /** Received and handed on, not yet consumed; and consumed, not yet credited to the peer. */
  unconsumed = 0;
  uncredited = 0;
  /** Bytes that wait for a window, at most the source's own window of them. One of its own when something waits: most streams never have to. */
  queue: Backlog = NO_BACKLOG;
  /** Ends the stream behind the queue. */
  queuedEnd = false;
  queuedTrailers: Head | undefined = undefined;
  /** The head of our message has been sent; the final head of the peer's has come. */
  headSent = false;
  headReceived = false;
  /** Content-Length of the peer's message, -1: none; and what has come. */
  declared = -1;
  received = 0;
  /** The wheel's tick at which waiting bytes last moved, or began to wait. */
  progressAt = 0;

  constructor(id: number, exchange: Exchange, table: object, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.exchange = exchange;
    this.table = table;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.window = receiveWindow;
  }

  /** Our message has ended. */
  get localEnded(): boolean {
    return this.state === 'half-closed-local' || this.state === 'closed';
  }
  /** The peer's message has ended. */
  get remoteEnded(): boolean {
    return this.state === 'half-closed-remote' || this.state === 'closed';
  }
  /** Ended both ways or reset: nothing may be sent or handed on. */
  get closed(): boolean {
    return this.state === 'closed';
  }
  /** Bytes wait for this stream's receiver: ours has not taken them, or the peer gives no window. */
  get waiting(): boolean {
    return !this.queue.empty || (this.unconsumed > 0 && !this.remoteEnded);
  }
  /**
   * Content-Length and DATA agree so far, or at the `end` (RFC 9113 section 8.1.1). `coming`: bytes that a frame has announced, so that what contradicts is not
   * handed on in part.
   */
  lengthFits(end: boolean, coming: number): boolean {
    if (this.declared < 0) return true;
    const length = this.received + coming;
    return end ? length === this.declared : length <= this.declared;
  }
}
