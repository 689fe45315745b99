import type { Cause } from '../errors.ts';
import { copyHead } from '../message/copy-head.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';

/** Holds one request until its upstream is there: what a pool does while it connects, in the simplest form. */
export class WaitingSink implements RequestSink {
  #inner: RequestSink | undefined = undefined;
  #failed: Cause | undefined = undefined;
  #queue: ((inner: RequestSink) => void)[] = [];
  #exchange: Exchange | undefined = undefined;

  open(inner: RequestSink): void {
    this.#inner = inner;
    for (const call of this.#queue) call(inner);
    this.#queue = [];
  }

  fail(cause: Cause): void {
    this.#failed = cause;
    const x = this.#exchange;
    if (x !== undefined) x.client.responseReset(x, cause);
  }

  #run(call: (inner: RequestSink) => void): void {
    if (this.#inner !== undefined) call(this.#inner);
    else this.#queue.push(call);
  }

  requestHead(x: Exchange, head: Head, end: boolean): void {
    this.#exchange = x;
    if (this.#failed !== undefined) {
      x.client.responseReset(x, this.#failed);
      return;
    }
    const copy = this.#inner === undefined ? copyHead(head) : head;
    this.#run((inner) => inner.requestHead(x, copy, end));
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.#run((inner) => inner.requestData(x, bytes, 0, bytes.length, last));
  }
  requestTrailers(x: Exchange, trailers: Head): void {
    const copy = copyHead(trailers);
    this.#run((inner) => inner.requestTrailers(x, copy));
  }
  requestReset(x: Exchange, cause: Cause): void {
    this.#run((inner) => inner.requestReset(x, cause));
  }
  responseConsumed(x: Exchange, n: number): void {
    this.#run((inner) => inner.responseConsumed(x, n));
  }
}
