import type { Exchange, Head, RequestSink } from '../message.ts';

/** State of one stream. Written by the connection, and its sending half by the sender. */
export class Stream {
  readonly id: number;
  readonly exchange: Exchange;
  /** Server side: takes the request. */
  sink: RequestSink | undefined = undefined;
  /** Bytes that we may still send; negative after the peer shrank its window. */
  sendWindow: number;
  /** Bytes that the peer may still send. */
  receiveWindow: number;
  /** Received and handed on, not yet consumed; and consumed, not yet credited to the peer. */
  unconsumed = 0;
  uncredited = 0;
  /** Bytes that wait for a window, at most the source's own window of them. */
  queue: Buffer[] = [];
  queued = 0;
  /** Ends the stream behind the queue. */
  queuedEnd = false;
  queuedTrailers: Head | undefined = undefined;
  localEnded = false;
  remoteEnded = false;
  /** Ended both ways or reset: nothing may be sent or handed on. */
  closed = false;
  /** The head of our message has been sent; the final head of the peer's has come. */
  headSent = false;
  headReceived = false;
  /** Content-Length of the peer's message, -1: none; and what has come. */
  declared = -1;
  received = 0;
  grpc = false;
  /** ms: when waiting bytes last moved, or began to wait. */
  progressAt = 0;

  constructor(id: number, exchange: Exchange, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.exchange = exchange;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }
}
