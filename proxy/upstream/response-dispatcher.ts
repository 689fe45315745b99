import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, ResponseSink } from '../message/message.ts';
import { attemptOf } from './attempt.ts';

/** Responses of shared connections find their way back to the stack that the request came through. */
export class ResponseDispatcher implements ResponseSink {
  responseHead(x: Exchange, head: Head, end: boolean): void {
    attemptOf(x).owner.responseHead(x, head, end);
  }
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    attemptOf(x).owner.responseData(x, buffer, start, end, last);
  }
  responseTrailers(x: Exchange, trailers: Head): void {
    attemptOf(x).owner.responseTrailers(x, trailers);
  }
  responseReset(x: Exchange, cause: Cause): void {
    attemptOf(x).owner.responseReset(x, cause);
  }
  requestConsumed(x: Exchange, n: number): void {
    attemptOf(x).owner.requestConsumed(x, n);
  }
}
