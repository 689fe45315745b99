import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import type { RequestSink, ResponseSink } from '../message/message.ts';
import { Inflow, Outflow } from './flow.ts';
import type { Transport, TransportHandler } from './transport.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * A connection from a client whose bytes are opaque: one exchange with `x.opaque`. Its bytes are the request, its
 * half-close ends it; the response's bytes go back.
 */
export class OpaqueServerConnection implements TransportHandler, ResponseSink {
  readonly exchange: Exchange;
  readonly #transport: Transport;
  readonly #route: (x: Exchange) => RequestSink;
  readonly #onClose: (() => void) | undefined;
  readonly #in: Inflow;
  readonly #out: Outflow;
  #sink: RequestSink | undefined = undefined;
  #early: Buffer[] = [];
  #earlyEnd = false;

  /** Takes the transport; what comes before `start` waits. */
  constructor(transport: Transport, route: (x: Exchange) => RequestSink, onClose?: () => void) {
    this.exchange = new Exchange(this);
    this.exchange.opaque = true;
    this.#route = route;
    this.#transport = transport;
    this.#onClose = onClose;
    this.#in = new Inflow(transport);
    this.#out = new Outflow();
    transport.handler = this;
  }

  /** Sends the head that the caller built (method CONNECT, the target's fields), then `early`, bytes that were read before, then all that comes. */
  start(head: Head, early: Buffer): void {
    const x = this.exchange;
    // Asked before the sink is kept: a route that resets at once has no sink to go on with.
    const sink = this.#route(x);
    if (x.responseEnded) return;
    this.#sink = sink;
    sink.requestHead(x, head, false);
    const waiting = this.#early;
    this.#early = [];
    if (early.length > 0) this.onData(early, 0, early.length);
    for (const bytes of waiting) this.onData(bytes, 0, bytes.length);
    if (this.#earlyEnd) this.onEnd();
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#in.passed(end - start);
    if (this.#sink === undefined) {
      if (!this.exchange.requestEnded) this.#early.push(Buffer.from(buffer.subarray(start, end)));
      return;
    }
    this.#sink.requestData(this.exchange, buffer, start, end, false);
  }

  onEnd(): void {
    const x = this.exchange;
    if (this.#sink === undefined) {
      this.#earlyEnd = true;
      return;
    }
    x.requestEnded = true;
    this.#sink.requestData(x, NO_BYTES, 0, 0, true);
  }

  onDrain(): void {
    const n = this.#out.drained();
    if (n > 0) this.#sink?.responseConsumed(this.exchange, n);
  }

  onClose(): void {
    const x = this.exchange;
    const sink = this.#sink;
    this.#sink = undefined;
    if (!x.requestEnded || !x.responseEnded) {
      x.requestEnded = true;
      sink?.requestReset(x, causes.clientGone);
    }
    this.#onClose?.();
  }

  responseHead(x: Exchange, head: Head, end: boolean): void {
    x.status = head.status;
    // An answer in HTTP terms cannot be told on an opaque connection.
    if (head.status < 200 || head.status > 299) {
      const sink = this.#sink;
      this.responseReset(x, causes.upstreamReset);
      // The upstream's side of the stream is still open for our bytes.
      sink?.requestReset(x, causes.clientGone);
    } else if (end) this.#end();
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const room = end === start || this.#transport.write(buffer, start, end);
    const n = this.#out.wrote(end - start, room);
    if (n > 0) this.#sink?.responseConsumed(x, n);
    if (last) this.#end();
  }

  responseTrailers(_x: Exchange, _trailers: Head): void {
    this.#end();
  }

  responseReset(x: Exchange, _cause: Cause): void {
    x.responseEnded = true;
    x.requestEnded = true;
    this.#sink = undefined;
    // What broke on the other side breaks here: an orderly end would pass for a whole answer.
    this.#transport.reset();
  }

  requestConsumed(_x: Exchange, n: number): void {
    this.#in.consumed(n);
  }

  #end(): void {
    this.exchange.responseEnded = true;
    this.#transport.end();
  }
}

/** A connection to a server whose bytes are opaque. `requestHead` answers 200 at once, since the connection is up; request data is written as it is. */
export class OpaqueClientConnection implements TransportHandler, RequestSink {
  readonly #transport: Transport;
  readonly #responses: ResponseSink | undefined;
  readonly #onClose: (() => void) | undefined;
  readonly #in: Inflow;
  readonly #out: Outflow;
  #exchange: Exchange | undefined = undefined;
  #responseEnded = false;
  #early: Buffer[] = [];
  #earlyEnd = false;

  /** `responses`: where they go, `x.client` when absent. */
  constructor(transport: Transport, responses?: ResponseSink, onClose?: () => void) {
    this.#transport = transport;
    this.#responses = responses;
    this.#onClose = onClose;
    this.#in = new Inflow(transport);
    this.#out = new Outflow();
    transport.handler = this;
  }

  requestHead(x: Exchange, _head: Head, end: boolean): void {
    this.#exchange = x;
    const head = new Head();
    head.status = 200;
    this.#sinkOf(x).responseHead(x, head, false);
    if (end) this.#transport.end();
    // Servers that speak first may have spoken before the exchange was there.
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) this.#deliver(bytes, 0, bytes.length);
    if (this.#earlyEnd) this.onEnd();
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x !== this.#exchange) return;
    const room = end === start || this.#transport.write(buffer, start, end);
    if (last) this.#transport.end();
    const n = this.#out.wrote(end - start, room);
    if (n > 0) this.#sinkOf(x).requestConsumed(x, n);
  }

  requestTrailers(_x: Exchange, _trailers: Head): void {
    this.#transport.end();
  }

  requestReset(x: Exchange, _cause: Cause): void {
    if (x !== this.#exchange) return;
    this.#exchange = undefined;
    this.#transport.reset();
  }

  responseConsumed(_x: Exchange, n: number): void {
    this.#in.consumed(n);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#in.passed(end - start);
    if (this.#exchange === undefined) this.#early.push(Buffer.from(buffer.subarray(start, end)));
    else this.#deliver(buffer, start, end);
  }

  #deliver(buffer: Buffer, start: number, end: number): void {
    const x = this.#exchange;
    if (x !== undefined) this.#sinkOf(x).responseData(x, buffer, start, end, false);
  }

  onEnd(): void {
    const x = this.#exchange;
    if (x === undefined) {
      this.#earlyEnd = true;
      return;
    }
    this.#responseEnded = true;
    this.#sinkOf(x).responseData(x, NO_BYTES, 0, 0, true);
  }

  onDrain(): void {
    const n = this.#out.drained();
    const x = this.#exchange;
    if (n > 0 && x !== undefined) this.#sinkOf(x).requestConsumed(x, n);
  }

  onClose(): void {
    const x = this.#exchange;
    this.#exchange = undefined;
    if (x !== undefined && !this.#responseEnded) this.#sinkOf(x).responseReset(x, causes.upstreamReset);
    this.#onClose?.();
  }

  #sinkOf(x: Exchange): ResponseSink {
    return this.#responses ?? x.client;
  }
}
