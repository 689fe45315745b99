import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { SWITCHING_PROTOCOLS } from '../message/head.ts';
import type { Head } from '../message/head.ts';
import { isIdempotent } from '../message/idempotent.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import { giveHead, takeHead } from '../message/spare-heads.ts';
import { Inflow, Outflow } from '../transport/flow.ts';
import { OutputStall } from '../transport/output-stall.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { BodyReader } from './body-reader.ts';
import type { BodyKind } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import { Framing } from './framing.ts';
import { parseResponse } from './head-parser.ts';
import { giveHeadReader, type HeadReader, HeadStatus, takeHeadReader } from './head-reader.ts';
import { writeRequestHead } from './head-writer.ts';
import type { OutgoingFraming } from './head-writer.ts';
import { HTTP1 } from './start-line.ts';

/** What a connection to a server needs. */
export interface Http1ClientOptions {
  timers: TimerWheel;
  /** Where responses go; `x.client` when absent. */
  responses?: ResponseSink;
  /** The exchange is over and the connection may carry another one. */
  onIdle?(connection: Http1ClientConnection): void;
  /** Exactly once: the connection is gone and must leave the pool. */
  onClose?(connection: Http1ClientConnection): void;
}

/**
 * idle: no exchange. head: waits for the response's head. body: reads its body. drained: the response has ended, the
 * request has not. tunnel: the answer was 101, bytes pass each way until that way ends. closed.
 */
type State = 'idle' | 'head' | 'body' | 'drained' | 'tunnel' | 'closed';

const NO_BYTES = Buffer.alloc(0);
/** How the head that was parsed last is framed: looked at before anything else can be parsed, so all connections share it. */
const framing = new Framing();

/** One HTTP/1.1 connection to a server: one exchange at a time; the caller pools it. */
export class Http1ClientConnection implements TransportHandler, RequestSink {
  readonly #transport: Transport;
  readonly #options: Http1ClientOptions;
  /** Of a head of which a part has come. */
  #reader: HeadReader | undefined = undefined;
  readonly #body = new BodyReader();
  readonly #request = new BodyWriter();
  readonly #in: Inflow;
  readonly #out = new Outflow();
  readonly #stall: OutputStall;
  #state: State = 'idle';
  #exchange: Exchange | undefined = undefined;
  #close = false;
  #requestEnded = false;
  /**
   * The exchange may be sent again while nothing has come for it: the connection has carried others before, and the
   * server may have closed it meanwhile (RFC 9112 section 9.3.1).
   */
  #repeatable = false;
  #served = false;
  /** Of a tunnel. */
  #responseEnded = false;
  #idleSince: number;

  constructor(transport: Transport, options: Http1ClientOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#in = new Inflow(transport);
    this.#stall = new OutputStall(transport, options.timers, () => this.#fail(causes.timeout));
    this.#idleSince = options.timers.ticks;
    transport.handler = this;
  }

  /** Idle and open: may take an exchange now. */
  get reusable(): boolean {
    return this.#state === 'idle' && !this.#close;
  }

  /** The wheel's tick since which it has been idle. */
  get idleSince(): number {
    return this.#idleSince;
  }

  /** Closes; an exchange under way is reset. */
  destroy(): void {
    this.#fail(causes.upstreamReset);
  }

  // Requests out.

  requestHead(x: Exchange, head: Head, end: boolean): void {
    if (!this.reusable) {
      x.refused = true;
      this.#sinkOf(x).responseReset(x, causes.upstreamReset);
      return;
    }
    this.#exchange = x;
    this.#state = 'head';
    this.#requestEnded = end;
    this.#repeatable = this.#served && isIdempotent(head.method);
    const upgrades = x.upgrade === 'asked';
    const framing = upgrades ? 'declared' : requestFraming(head, end);
    const bodiless = end || upgrades;
    this.#request.begin(framing === 'chunked' ? 'chunked' : bodiless ? 'none' : 'length', head.contentLength);
    this.#out.wrote(0, writeRequestHead(this.#transport, head, framing));
    this.#stall.watch();
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x !== this.#exchange || this.#requestEnded) return;
    const written = this.#request.write(this.#transport, buffer, start, end, last);
    if (written === 'mismatch') {
      this.#fail(causes.badRequest);
      return;
    }
    const n = this.#out.wrote(end - start, written === 'room');
    this.#stall.watch();
    if (n > 0) this.#sinkOf(x).requestConsumed(x, n);
    if (last) this.#requestDone();
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    if (x !== this.#exchange || this.#requestEnded) return;
    if (this.#request.writeTrailers(this.#transport, trailers) === 'mismatch') this.#fail(causes.badRequest);
    else this.#requestDone();
  }

  requestReset(x: Exchange, _cause: Cause): void {
    if (x !== this.#exchange) return;
    // HTTP/1 has no other way to take a request back.
    this.#exchange = undefined;
    if (this.#state === 'tunnel') this.#transport.reset();
    this.#shut();
  }

  responseConsumed(x: Exchange, n: number): void {
    if (x === this.#exchange) this.#in.consumed(n);
  }

  #requestDone(): void {
    this.#requestEnded = true;
    if (this.#state === 'drained') this.#release();
    else if (this.#state === 'tunnel') this.#tunnelSideEnded();
  }

  // Responses in.

  onData(buffer: Buffer, start: number, end: number): void {
    this.#repeatable = false;
    let i = start;
    while (i < end) {
      if (this.#state === 'head') i = this.#readHead(buffer, i, end);
      else if (this.#state === 'body') i = this.#readBody(buffer, i, end);
      else if (this.#state === 'tunnel') i = this.#readTunnel(buffer, i, end);
      else {
        // Bytes that nobody asked for: what follows on this connection cannot be trusted.
        if (this.#state !== 'closed') this.#shut();
        return;
      }
    }
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    const reader = this.#reader ?? takeHeadReader();
    const consumed = reader.push(buffer, start, end);
    const isMore = consumed === HeadStatus.more;
    // The greeting of a server of another protocol: it waits for its client, and there would never be more.
    if (isMore && reader.beginsWith(HTTP1)) {
      this.#reader = reader;
      return end;
    }
    const { buffer: b, start: from, end: to } = reader;
    this.#reader = undefined;
    giveHeadReader(reader);
    const x = this.#exchange;
    if (isMore || consumed < 0 || x === undefined) {
      this.#fail(causes.protocolError);
      return end;
    }
    const head = takeHead();
    const bad = parseResponse(b, from, to, head, framing);
    const switches = head.status === SWITCHING_PROTOCOLS;
    const wrong = bad !== undefined || (switches && (x.upgrade !== 'asked' || this.#requestEnded));
    if (wrong) this.#fail(causes.protocolError);
    else if (switches) this.#becomeTunnel(x, head);
    else if (head.status < 200) this.#sinkOf(x).responseHead(x, head, false);
    else this.#beginResponse(x, head);
    giveHead(head);
    return wrong ? end : start + consumed;
  }

  /** What was asked for is granted: the connection carries something else from here on, and ends with it. */
  #becomeTunnel(x: Exchange, head: Head): void {
    x.upgrade = 'done';
    this.#state = 'tunnel';
    this.#close = true;
    this.#request.begin('close', -1);
    this.#sinkOf(x).responseHead(x, head, false);
  }

  #readTunnel(buffer: Buffer, start: number, end: number): number {
    const x = this.#exchange;
    if (x === undefined) return end;
    this.#in.passed(end - start);
    this.#sinkOf(x).responseData(x, buffer, start, end, false);
    return end;
  }

  /** One of the two ways of a tunnel has come to its end; with the other one's the connection closes. */
  #tunnelSideEnded(): void {
    this.#transport.end();
    if (this.#responseEnded) this.#exchange = undefined;
  }

  #beginResponse(x: Exchange, head: Head): void {
    this.#close ||= head.close;
    if (x.upgrade === 'asked') {
      // Declined: it was an ordinary request then, and had no body.
      x.upgrade = 'no';
      this.#requestEnded = true;
    }
    const kind = this.#bodyKind(x, head);
    const end = kind === 'none' || (kind === 'length' && head.contentLength === 0);
    if (kind === 'close') this.#close = true;
    this.#state = 'body';
    if (!end) this.#body.begin(kind, head.contentLength);
    if (end) this.#ended();
    this.#sinkOf(x).responseHead(x, head, end);
    if (end) this.#settle();
  }

  #bodyKind(x: Exchange, head: Head): BodyKind {
    if (x.isHead || head.status === 204 || head.status === 304) return 'none';
    if (framing.chunked) return 'chunked';
    return head.contentLength >= 0 ? 'length' : 'close';
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const body = this.#body;
    const event = body.next(buffer, start, end);
    const at = body.position;
    const x = this.#exchange;
    if (event === 'malformed' || x === undefined) {
      this.#fail(causes.protocolError);
      return end;
    }
    if (event === 'more') return at;
    const done = event !== 'data' || body.last;
    if (done) this.#ended();
    const sink = this.#sinkOf(x);
    if (event === 'trailers') sink.responseTrailers(x, body.trailers);
    else if (event === 'end') sink.responseData(x, NO_BYTES, 0, 0, true);
    else {
      this.#in.passed(body.dataEnd - body.dataStart);
      sink.responseData(x, buffer, body.dataStart, body.dataEnd, body.last);
    }
    if (done) this.#settle();
    return at;
  }

  /** The response has been read to its end; the exchange is told right after. */
  #ended(): void {
    this.#state = 'drained';
    if (this.#requestEnded) this.#exchange = undefined;
  }

  /** The response's end has been told: whether the connection can go on is decided only now, since telling may have reset the request. */
  #settle(): void {
    if (this.#state !== 'drained') return;
    if (this.#requestEnded) this.#release();
    // A response that did not wait for its request: the rest of the request may never come.
    else this.#shut();
  }

  #release(): void {
    this.#exchange = undefined;
    this.#served = true;
    this.#in.forget();
    this.#in.release();
    this.#out.forget();
    if (this.#close) {
      this.#shut();
      return;
    }
    this.#state = 'idle';
    this.#idleSince = this.#options.timers.ticks;
    this.#options.onIdle?.(this);
  }

  onDrain(): void {
    const n = this.#out.drained();
    const x = this.#exchange;
    if (x !== undefined && n > 0) this.#sinkOf(x).requestConsumed(x, n);
  }

  onEnd(): void {
    const x = this.#exchange;
    if (this.#state === 'tunnel' && x !== undefined) {
      this.#responseEnded = true;
      if (this.#requestEnded) this.#exchange = undefined;
      this.#sinkOf(x).responseData(x, NO_BYTES, 0, 0, true);
      return;
    }
    if (this.#state === 'body' && this.#body.kind === 'close' && x !== undefined) {
      this.#ended();
      this.#exchange = undefined;
      this.#sinkOf(x).responseData(x, NO_BYTES, 0, 0, true);
      this.#shut();
      return;
    }
    this.#lost();
  }

  onClose(): void {
    this.#stall.stop();
    this.#lost();
    this.#options.onClose?.(this);
  }

  #lost(): void {
    if (this.#exchange !== undefined && this.#repeatable) this.#exchange.refused = true;
    this.#fail(causes.upstreamReset);
  }

  #fail(cause: Cause): void {
    if (this.#state === 'closed') return;
    const x = this.#exchange;
    this.#exchange = undefined;
    this.#shut();
    if (x !== undefined && !this.#responseEnded) this.#sinkOf(x).responseReset(x, cause);
  }

  #shut(): void {
    this.#state = 'closed';
    this.#transport.destroy();
  }

  #sinkOf(x: Exchange): ResponseSink {
    return this.#options.responses ?? x.client;
  }
}

const GET = 71;
const HEAD_OR_OTHER = 72;

function requestFraming(head: Head, end: boolean): OutgoingFraming {
  if (head.contentLength >= 0) return 'declared';
  if (!end) return 'chunked';
  // RFC 9110 section 8.6: methods that may carry content say so also when it is empty.
  const first = head.method.buffer[head.method.start];
  return first === GET || first === HEAD_OR_OTHER ? 'declared' : 'empty';
}
