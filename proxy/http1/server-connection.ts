import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { SWITCHING_PROTOCOLS } from '../message/head.ts';
import type { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import type { RequestSink, ResponseSink } from '../message/message.ts';
import { giveHead, takeHead } from '../message/spare-heads.ts';
import { Deadline } from '../transport/deadline.ts';
import { Inflow, Outflow } from '../transport/flow.ts';
import { OutputStall } from '../transport/output-stall.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { BodyReader } from './body-reader.ts';
import { Framing } from './framing.ts';
import { parseRequest } from './head-parser.ts';
import { giveHeadReader, type HeadReader, HeadStatus, takeHeadReader } from './head-reader.ts';
import { writeErrorResponse } from './head-writer.ts';
import {
  BODY_STALL_MS,
  DISCARD_LIMIT,
  HALF_CLOSED_MS,
  HEAD_TIMEOUT_MS,
  IDLE_MS,
  LINGER_MS,
} from './limits.ts';
import { ResponseWriter } from './response-writer.ts';
import type { Http1ServerOptions } from './server-options.ts';

const CONNECTED = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n');
const NO_BYTES = Buffer.alloc(0);
/** How the head that was parsed last is framed: looked at before anything else can be parsed, so all connections share it. */
const framing = new Framing();

/**
 * Where the connection stands. One writer: this class. head: waits for a request's head. body: reads a request's body.
 * response: the request has been read, its response has not ended. backlog: answers wait for a client that does not
 * read; no further request is taken. discard: the response ended first, the rest of the body is dropped. upgrade: the
 * request asks to leave HTTP, what comes behind it waits for the answer. tunnel: that was 101, bytes pass each way
 * until that way ends. closing: nothing is read any more.
 */
type State = 'head' | 'body' | 'response' | 'backlog' | 'discard' | 'upgrade' | 'tunnel' | 'closing';

/**
 * One HTTP/1.x connection from a client: requests in, responses out. `x.client` of its exchanges is the connection. It
 * is long and one: bytes of the client, parts of the answer and times that are over all move the same state, and each
 * of the three looks at what the other two have done. What needs none of that stands elsewhere: reading heads and
 * bodies, writing answers, windows, limits.
 */
export class Http1ServerConnection implements TransportHandler, ResponseSink {
  readonly #transport: Transport;
  readonly #options: Http1ServerOptions;
  /** Of a head of which a part has come. */
  #reader: HeadReader | undefined = undefined;
  readonly #body = new BodyReader();
  readonly #response: ResponseWriter;
  readonly #in: Inflow;
  readonly #out = new Outflow();
  /** For what the client has to send next. */
  readonly #deadline: Deadline;
  /** For what the client has to read. */
  readonly #stall: OutputStall;
  #state: State = 'head';
  #exchange: Exchange | undefined = undefined;
  #sink: RequestSink | undefined = undefined;
  /** Bytes behind the request under way (pipelining), kept until its response has ended. */
  #pending: Buffer | undefined = undefined;
  #parsing = false;
  #draining = false;
  #clientEnded = false;
  #leadingLines = 0;
  #discarded = 0;

  constructor(transport: Transport, options: Http1ServerOptions) {
    const { timers } = options;
    this.#transport = transport;
    this.#options = options;
    this.#response = new ResponseWriter(transport);
    this.#in = new Inflow(transport);
    this.#deadline = new Deadline(timers, () => this.#expired());
    this.#stall = new OutputStall(transport, timers, () => this.#abort(causes.clientGone));
    this.#deadline.set(IDLE_MS);
    transport.handler = this;
  }

  /** No request is under way. */
  get idle(): boolean {
    return this.#exchange === undefined;
  }

  /** No more requests: closes when idle, else after the response under way (which says `connection: close`). */
  drain(): void {
    this.#draining = true;
    this.#response.close = true;
    if (this.#state === 'head' && this.#reader === undefined) this.#endConnection();
  }

  // Client side: bytes in.

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#pending !== undefined) {
      this.#pending = Buffer.concat([this.#pending, buffer.subarray(start, end)]);
      return;
    }
    this.#parse(buffer, start, end);
  }

  onDrain(): void {
    const n = this.#out.drained();
    const x = this.#exchange;
    if (x !== undefined && n > 0) this.#sink?.responseConsumed(x, n);
    if (this.#state === 'backlog') this.#nextRequest();
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#state === 'tunnel') return this.#tunnelRequestEnded();
    this.#noMoreComes();
  }

  /** The client has ended. What it had sent may wait here behind the request under way. */
  #noMoreComes(): void {
    this.#watchHalfClosed();
    if (this.#pending !== undefined) return;
    if (this.#state === 'body' || this.#state === 'upgrade') this.#abort(causes.clientGone);
    else if (this.#state === 'response' || this.#state === 'backlog') this.#response.close = true;
    else this.#endConnection();
  }

  /** A client that has ended waits for the next byte of its answer so long. */
  #watchHalfClosed(): void {
    if (this.#clientEnded && this.#state === 'response') this.#deadline.set(HALF_CLOSED_MS);
  }

  onClose(): void {
    this.#state = 'closing';
    this.#deadline.stop();
    this.#stall.stop();
    this.#resetRequest(causes.clientGone);
    this.#options.onClose?.(this);
  }

  #parse(buffer: Buffer, start: number, end: number): void {
    this.#parsing = true;
    let i = start;
    while (i < end || this.#state === 'body') {
      const before = i;
      const state = this.#state;
      if (state === 'head') i = this.#readHead(buffer, i, end);
      else if (state === 'body' || state === 'discard') i = this.#readBody(buffer, i, end);
      else if (state === 'tunnel') i = this.#readTunnel(buffer, i, end);
      else {
        if (state !== 'closing') this.#keep(buffer, i, end);
        break;
      }
      if (i === before && state === this.#state) break;
    }
    this.#parsing = false;
    if (this.#clientEnded && this.#state !== 'tunnel') this.#noMoreComes();
  }

  /** The next request has come before the client may have it answered. */
  #keep(buffer: Buffer, start: number, end: number): void {
    this.#pending = Buffer.from(buffer.subarray(start, end));
    this.#in.hold();
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    const reader = this.#reader ?? takeHeadReader();
    const consumed = reader.push(buffer, start, end);
    if (consumed === HeadStatus.more) {
      if (this.#reader === undefined) this.#deadline.set(HEAD_TIMEOUT_MS);
      this.#reader = reader;
      return end;
    }
    const { buffer: b, start: from, end: to } = reader;
    this.#reader = undefined;
    giveHeadReader(reader);
    if (consumed < 0) {
      this.#refuse(consumed === HeadStatus.tooLarge ? causes.headTooLarge : causes.badRequest);
      return end;
    }
    const at = start + consumed;
    if (to - from === 2) {
      // RFC 9112 section 2.2: one empty line before a request line is ignored.
      if (++this.#leadingLines > 1) this.#refuse(causes.badRequest);
      return at;
    }
    this.#leadingLines = 0;
    const head = takeHead();
    const bad = parseRequest(b, from, to, head, framing);
    const { isConnect } = framing;
    if (bad !== undefined) this.#refuse(bad);
    else if (isConnect) this.#connect(head, buffer, at, end);
    else this.#begin(head);
    giveHead(head);
    return bad !== undefined || isConnect ? end : at;
  }

  #begin(head: Head): void {
    const x = new Exchange(this);
    x.startedAt = this.#options.timers.now();
    x.isHead = framing.isHead;
    this.#exchange = x;
    const upgrades = head.find(FieldId.upgrade) >= 0;
    if (upgrades) x.upgrade = 'asked';
    const end = !framing.chunked && head.contentLength <= 0 && !upgrades;
    // A client that waits for 100 may send its body or another request after a final answer: nobody can tell which.
    const close = head.close || this.#draining || (framing.expect && !end);
    this.#response.begin(framing.minorVersion === 0, close);
    x.requestEnded = end;
    this.#state = upgrades ? 'upgrade' : end ? 'response' : 'body';
    if (end || upgrades) this.#deadline.clear();
    else {
      this.#deadline.set(BODY_STALL_MS);
      this.#body.begin(framing.chunked ? 'chunked' : 'length', head.contentLength);
    }
    const sink = this.#options.route(x, head);
    if (this.#exchange !== x) return;
    this.#sink = sink;
    sink.requestHead(x, head, end);
  }

  #readBody(buffer: Buffer, start: number, end: number): number {
    const body = this.#body;
    const event = body.next(buffer, start, end);
    if (event === 'malformed') {
      this.#abort(causes.badRequest);
      return end;
    }
    const at = body.position;
    const done = event === 'end' || event === 'trailers' || (event === 'data' && body.last);
    if (at > start) this.#deadline.set(BODY_STALL_MS);
    const x = this.#exchange;
    if (this.#state === 'discard' || x === undefined) {
      this.#discard(at - start, done);
      return at;
    }
    if (done) {
      x.requestEnded = true;
      this.#state = 'response';
      this.#deadline.clear();
    }
    if (event === 'data') {
      this.#in.passed(body.dataEnd - body.dataStart);
      this.#sink?.requestData(x, buffer, body.dataStart, body.dataEnd, body.last);
    } else if (event === 'end') this.#sink?.requestData(x, buffer, at, at, true);
    else if (event === 'trailers') this.#sink?.requestTrailers(x, body.trailers);
    return at;
  }

  #readTunnel(buffer: Buffer, start: number, end: number): number {
    const x = this.#exchange;
    // The client may go on when the other side has ended its way.
    if (x === undefined || x.requestEnded) return end;
    this.#in.passed(end - start);
    this.#sink?.requestData(x, buffer, start, end, false);
    return end;
  }

  #tunnelRequestEnded(): void {
    const x = this.#exchange;
    if (x === undefined || x.requestEnded) return;
    x.requestEnded = true;
    this.#sink?.requestData(x, NO_BYTES, 0, 0, true);
    if (x.responseEnded) this.#exchange = undefined;
  }

  #discard(n: number, done: boolean): void {
    this.#discarded += n;
    if (done) this.#nextRequest();
    else if (this.#discarded > DISCARD_LIMIT) this.#endConnection();
  }

  #connect(head: Head, buffer: Buffer, start: number, end: number): void {
    const answer = this.#options.onConnect?.(head, this) ?? causes.badRequest;
    if (typeof answer !== 'function') {
      this.#refuse(answer);
      return;
    }
    this.#state = 'closing';
    this.#deadline.stop();
    this.#stall.stop();
    const rest = end > start ? Buffer.from(buffer.subarray(start, end)) : NO_BYTES;
    this.#transport.write(CONNECTED, 0, CONNECTED.length);
    answer(this.#transport, rest);
  }

  /** A request that cannot be understood: answered, and the connection closed, since nobody knows where the next one would begin. */
  #refuse(cause: Cause): void {
    this.#options.onRefused?.(cause);
    writeErrorResponse(this.#transport, cause, true);
    this.#endConnection();
  }

  /** The client did not send what it had to in time. */
  #expired(): void {
    switch (this.#state) {
      case 'head':
        if (this.#reader !== undefined) this.#refuse(causes.stalled);
        else this.#endConnection();
        break;
      case 'body':
        // Where we do not read, it is not the client that stalls.
        if (this.#in.paused) this.#deadline.set(BODY_STALL_MS);
        else this.#abort(causes.stalled);
        break;
      case 'discard':
        this.#endConnection();
        break;
      case 'closing':
        // It may still be reading its answer; whether it does is watched by `stall`.
        if (this.#transport.pendingBytes > 0) this.#deadline.set(LINGER_MS);
        else this.#transport.destroy();
        break;
      case 'response':
        // It has ended its side, and gets nothing. One that takes what it gets slowly is watched by `stall`.
        if (this.#transport.pendingBytes > 0) this.#deadline.set(HALF_CLOSED_MS);
        else this.#abort(causes.clientGone);
        break;
      case 'backlog':
      case 'upgrade':
      case 'tunnel':
        break;
    }
  }

  // Upstream side: responses out.

  responseHead(x: Exchange, head: Head, end: boolean): void {
    if (x !== this.#exchange) return;
    if (head.isFinal) x.status = head.status;
    if (head.status >= 200 && this.#state === 'upgrade') this.#upgradeDeclined(x);
    this.#out.wrote(0, this.#response.head(x, head, end));
    this.#watchHalfClosed();
    if (head.status === SWITCHING_PROTOCOLS) return this.#becomeTunnel();
    if (end) this.#responseEnded(x);
  }

  /** The answer is an ordinary one: so was the request, then, and it had no body. */
  #upgradeDeclined(x: Exchange): void {
    x.upgrade = 'no';
    x.requestEnded = true;
    this.#state = 'response';
    this.#sink?.requestData(x, NO_BYTES, 0, 0, true);
  }

  #becomeTunnel(): void {
    this.#state = 'tunnel';
    this.#deadline.stop();
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#readTunnel(pending, 0, pending.length);
    this.#in.release();
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x !== this.#exchange) return;
    const written = this.#response.data(buffer, start, end, last);
    if (written === 'mismatch') {
      this.#abort(causes.protocolError);
      return;
    }
    const n = this.#out.wrote(end - start, written === 'room');
    this.#watchHalfClosed();
    this.#stall.watch();
    if (last) this.#responseEnded(x);
    else if (n > 0) this.#sink?.responseConsumed(x, n);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    if (x !== this.#exchange) return;
    const written = this.#response.trailers(trailers);
    if (written === 'mismatch') {
      this.#abort(causes.protocolError);
      return;
    }
    this.#out.wrote(0, written === 'room');
    this.#responseEnded(x);
  }

  responseReset(x: Exchange, cause: Cause): void {
    if (x !== this.#exchange) return;
    // Nothing goes back to a sink that has reported the end itself.
    this.#sink = undefined;
    const response = this.#response;
    if (response.headSent) {
      this.#exchange = undefined;
      // A client that has seen nothing would take its connection for one that was closed before its request came, and ask again.
      this.#transport.flush();
      this.#destroy();
      return;
    }
    x.status = cause.status;
    response.headSent = true;
    if (!x.requestEnded) response.close = true;
    this.#out.wrote(0, writeErrorResponse(this.#transport, cause, response.close));
    this.#responseEnded(x);
  }

  requestConsumed(x: Exchange, n: number): void {
    if (x === this.#exchange) this.#in.consumed(n);
  }

  #responseEnded(x: Exchange): void {
    x.responseEnded = true;
    if (this.#state === 'tunnel' && !x.requestEnded) {
      this.#transport.end();
      return;
    }
    this.#exchange = undefined;
    this.#out.forget();
    this.#in.forget();
    this.#stall.watch();
    const sink = this.#sink;
    this.#sink = undefined;
    if (x.requestEnded) {
      this.#nextRequest();
      return;
    }
    // The answer did not wait for the whole request (an error, an early refusal).
    sink?.requestReset(x, causes.clientGone);
    if (this.#response.close) {
      this.#endConnection();
      return;
    }
    this.#state = 'discard';
    this.#discarded = 0;
    this.#in.release();
  }

  #nextRequest(): void {
    if (this.#response.close) {
      this.#endConnection();
      return;
    }
    if (this.#out.full) {
      this.#state = 'backlog';
      this.#deadline.clear();
      this.#in.hold();
      return;
    }
    this.#state = 'head';
    this.#deadline.set(IDLE_MS);
    // The loop in #parse goes on by itself; a body that was larger than the window may have paused it.
    if (this.#parsing) {
      this.#in.release();
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#parse(pending, 0, pending.length);
    if (this.#pending === undefined) this.#in.release();
  }

  // The end.

  #abort(cause: Cause): void {
    const answer = this.#exchange !== undefined && !this.#response.headSent && cause !== causes.clientGone;
    this.#resetRequest(cause);
    if (answer) {
      writeErrorResponse(this.#transport, cause, true);
      this.#endConnection();
    } else this.#destroy();
  }

  #resetRequest(cause: Cause): void {
    const x = this.#exchange;
    const sink = this.#sink;
    this.#exchange = undefined;
    this.#sink = undefined;
    if (x !== undefined) sink?.requestReset(x, cause);
  }

  #destroy(): void {
    this.#state = 'closing';
    // What broke on the other side, or was not taken on this one, breaks here: an orderly end would pass for a whole answer.
    if (this.#response.endsWithConnection) this.#transport.reset();
    else this.#transport.destroy();
  }

  /** Sends what is pending, then closes; what the client still sends is read and dropped, so that it gets the answer and not a reset. */
  #endConnection(): void {
    if (this.#state === 'closing') return;
    this.#state = 'closing';
    this.#pending = undefined;
    this.#stall.watch();
    this.#deadline.set(LINGER_MS);
    this.#transport.end();
    this.#in.release();
  }
}
