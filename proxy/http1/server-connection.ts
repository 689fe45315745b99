import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { Exchange, Head } from '../message.ts';
import type { RequestSink, ResponseSink } from '../message.ts';
import { Timer } from '../transport/timers.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import type { OutgoingBody } from './body-writer.ts';
import { HeadReader, HeadStatus } from './head-reader.ts';
import { Framing, parseRequest } from './head-parser.ts';
import { writeErrorResponse, writeResponseHead } from './head-writer.ts';
import type { OutgoingFraming } from './head-writer.ts';
import { BODY_RESUME, BODY_WINDOW, DISCARD_LIMIT, HEAD_TIMEOUT_MS } from './limits.ts';

/** What a connection from a client needs. */
export interface Http1ServerOptions {
  timers: TimerWheel;
  /** Says where a request goes; `requestHead` of the answer is called next, by the codec. */
  route(x: Exchange, head: Head): RequestSink;
  /**
   * CONNECT: a cause refuses it; a function accepts it: it is called after the 200 has been written, with the transport (set its handler at once) and the bytes
   * that came behind the head (a copy). Absent: CONNECT is refused.
   */
  onConnect?(head: Head): Cause | ((transport: Transport, rest: Buffer) => void);
  /** A head that was refused before there was an exchange; for counting. */
  onRefused?(cause: Cause): void;
  /** Exactly once, when the connection is gone. Not after CONNECT handed its transport over. */
  onClose?(): void;
}

const CONNECTED = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n');
const NO_BYTES = Buffer.alloc(0);

/**
 * Where the connection stands. One writer: this class.
 * head: waits for a request's head. body: reads a request's body. response: the request has been read, its response has not ended. discard: the response
 * ended first, the rest of the body is dropped. closing: nothing is read any more.
 */
type State = 'head' | 'body' | 'response' | 'discard' | 'closing';

/** One HTTP/1.x connection from a client: requests in, responses out. `x.client` of its exchanges is the connection. */
export class Http1ServerConnection implements TransportHandler, ResponseSink {
  readonly #transport: Transport;
  readonly #options: Http1ServerOptions;
  readonly #head = new Head();
  readonly #framing = new Framing();
  readonly #reader = new HeadReader();
  readonly #body = new BodyReader();
  readonly #out = new BodyWriter();
  readonly #headTimer = new Timer(() => this.#headTimedOut());
  readonly #lingerTimer = new Timer(() => this.#transport.destroy());
  #state: State = 'head';
  #exchange: Exchange | undefined = undefined;
  #sink: RequestSink | undefined = undefined;
  /** Bytes behind the request under way (pipelining), kept until its response has ended. */
  #pending: Buffer | undefined = undefined;
  #parsing = false;
  #headSent = false;
  #close = false;
  #http10 = false;
  #draining = false;
  #clientEnded = false;
  #leadingLines = 0;
  #discarded = 0;
  /** Request bytes given to the sink and not yet consumed; response bytes written while the output was full. */
  #unconsumed = 0;
  #owed = 0;
  #full = false;
  #paused = false;

  constructor(transport: Transport, options: Http1ServerOptions) {
    this.#transport = transport;
    this.#options = options;
    transport.handler = this;
  }

  /** No request is under way. */
  get idle(): boolean {
    return this.#exchange === undefined;
  }

  /** No more requests: closes when idle, else after the response under way (which says `connection: close`). */
  drain(): void {
    this.#draining = true;
    this.#close = true;
    if (this.#state === 'head' && !this.#reader.started) this.#endConnection();
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
    this.#full = false;
    const x = this.#exchange;
    const n = this.#owed;
    this.#owed = 0;
    if (x !== undefined && n > 0) this.#sink?.responseConsumed(x, n);
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#state === 'body') this.#abort(causes.clientGone);
    // A client may half-close after its last request; idle, it is done.
    else if (this.#state === 'response') this.#close = true;
    else this.#endConnection();
  }

  onClose(): void {
    this.#state = 'closing';
    this.#options.timers.cancel(this.#headTimer);
    this.#options.timers.cancel(this.#lingerTimer);
    this.#resetRequest(causes.clientGone);
    this.#options.onClose?.();
  }

  #parse(buffer: Buffer, start: number, end: number): void {
    this.#parsing = true;
    let i = start;
    while (i < end || this.#state === 'body') {
      const before = i;
      const state = this.#state;
      if (state === 'head') i = this.#readHead(buffer, i, end);
      else if (state === 'body' || state === 'discard') i = this.#readBody(buffer, i, end);
      else if (state === 'response') {
        this.#keep(buffer, i, end);
        break;
      } else break;
      if (i === before && state === this.#state) break;
    }
    this.#parsing = false;
  }

  /** The next request has come while a response is under way. */
  #keep(buffer: Buffer, start: number, end: number): void {
    this.#pending = Buffer.from(buffer.subarray(start, end));
    this.#pause();
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    const consumed = this.#reader.push(buffer, start, end);
    if (consumed === HeadStatus.more) {
      if (!this.#headTimer.armed) this.#options.timers.arm(this.#headTimer, HEAD_TIMEOUT_MS);
      return end;
    }
    if (consumed < 0) {
      this.#refuse(consumed === HeadStatus.tooLarge ? causes.headTooLarge : causes.badRequest);
      return end;
    }
    const at = start + consumed;
    const { buffer: b, start: from, end: to } = this.#reader;
    if (to - from === 2) {
      // RFC 9112 section 2.2: one empty line before a request line is ignored.
      if (++this.#leadingLines > 1) this.#refuse(causes.badRequest);
      return at;
    }
    this.#leadingLines = 0;
    this.#options.timers.cancel(this.#headTimer);
    const bad = parseRequest(b, from, to, this.#head, this.#framing);
    if (bad !== undefined) {
      this.#refuse(bad);
      return end;
    }
    if (this.#framing.isConnect) {
      this.#connect(buffer, at, end);
      return end;
    }
    this.#begin();
    return at;
  }

  #begin(): void {
    const head = this.#head;
    const framing = this.#framing;
    const x = new Exchange(this);
    x.startedAt = this.#options.timers.now();
    x.isHead = framing.isHead;
    this.#exchange = x;
    this.#headSent = false;
    this.#http10 = framing.minorVersion === 0;
    this.#close = head.close || this.#draining || this.#clientEnded;
    const end = !framing.chunked && head.contentLength <= 0;
    x.requestEnded = end;
    this.#state = end ? 'response' : 'body';
    if (!end) this.#body.begin(framing.chunked ? 'chunked' : 'length', head.contentLength);
    // A client that waits for 100 may send its body or another request after a final answer: nobody can tell which.
    if (framing.expect && !end) this.#close = true;
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
    const x = this.#exchange;
    if (this.#state === 'discard' || x === undefined) {
      this.#discard(at - start, done);
      return at;
    }
    if (done) {
      x.requestEnded = true;
      this.#state = 'response';
    }
    if (event === 'data') this.#deliver(x, buffer, body.dataStart, body.dataEnd, body.last);
    else if (event === 'end') this.#sink?.requestData(x, buffer, at, at, true);
    else if (event === 'trailers') this.#sink?.requestTrailers(x, body.trailers);
    return at;
  }

  #deliver(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#unconsumed += end - start;
    this.#sink?.requestData(x, buffer, start, end, last);
    if (this.#unconsumed > BODY_WINDOW) this.#pause();
  }

  #discard(n: number, done: boolean): void {
    this.#discarded += n;
    if (done) this.#nextRequest();
    else if (this.#discarded > DISCARD_LIMIT) this.#endConnection();
  }

  #connect(buffer: Buffer, start: number, end: number): void {
    const answer = this.#options.onConnect?.(this.#head) ?? causes.badRequest;
    if (typeof answer !== 'function') {
      this.#refuse(answer);
      return;
    }
    this.#state = 'closing';
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

  #headTimedOut(): void {
    if (this.#state === 'head') this.#refuse(causes.stalled);
  }

  // Upstream side: responses out.

  responseHead(x: Exchange, head: Head, end: boolean): void {
    if (x !== this.#exchange) return;
    if (head.status < 200) {
      // An HTTP/1.0 client does not know informational responses.
      if (!this.#http10) writeResponseHead(this.#transport, head, 'declared', 'none');
      return;
    }
    this.#headSent = true;
    x.status = head.status;
    const body = this.#outgoingBody(x, head, end);
    this.#out.begin(body, head.contentLength);
    const option = this.#close ? 'close' : this.#http10 ? 'keep-alive' : 'none';
    writeResponseHead(this.#transport, head, framingOf(x, head, body, end), option);
    if (end) this.#responseEnded(x);
  }

  #outgoingBody(x: Exchange, head: Head, end: boolean): OutgoingBody {
    if (end || x.isHead || head.status === 204 || head.status === 304) return 'none';
    if (head.contentLength >= 0) return 'length';
    if (!this.#http10) return 'chunked';
    this.#close = true;
    return 'close';
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x !== this.#exchange) return;
    const written = this.#out.write(this.#transport, buffer, start, end, last);
    if (written === 'mismatch') {
      this.#abort(causes.protocolError);
      return;
    }
    if (written === 'full') this.#full = true;
    if (last) this.#responseEnded(x);
    else if (this.#full) this.#owed += end - start;
    else this.#sink?.responseConsumed(x, end - start);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    if (x !== this.#exchange) return;
    if (this.#out.writeTrailers(this.#transport, trailers) === 'mismatch') this.#abort(causes.protocolError);
    else this.#responseEnded(x);
  }

  responseReset(x: Exchange, cause: Cause): void {
    if (x !== this.#exchange) return;
    // Nothing goes back to a sink that has reported the end itself.
    this.#sink = undefined;
    if (this.#headSent) {
      this.#exchange = undefined;
      this.#state = 'closing';
      this.#transport.destroy();
      return;
    }
    x.status = cause.status;
    this.#headSent = true;
    if (!x.requestEnded) this.#close = true;
    writeErrorResponse(this.#transport, cause, this.#close);
    this.#responseEnded(x);
  }

  requestConsumed(x: Exchange, n: number): void {
    if (x !== this.#exchange) return;
    this.#unconsumed -= n;
    if (this.#unconsumed <= BODY_RESUME && this.#pending === undefined) this.#resume();
  }

  #responseEnded(x: Exchange): void {
    x.responseEnded = true;
    this.#exchange = undefined;
    this.#owed = 0;
    this.#unconsumed = 0;
    const sink = this.#sink;
    this.#sink = undefined;
    if (x.requestEnded) {
      this.#nextRequest();
      return;
    }
    // The answer did not wait for the whole request (an error, an early refusal).
    sink?.requestReset(x, causes.clientGone);
    if (this.#close) {
      this.#endConnection();
      return;
    }
    this.#state = 'discard';
    this.#discarded = 0;
    this.#resume();
  }

  #nextRequest(): void {
    if (this.#close) {
      this.#endConnection();
      return;
    }
    this.#state = 'head';
    this.#reader.release();
    // The loop in #parse goes on by itself.
    if (this.#parsing) return;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#parse(pending, 0, pending.length);
    if (this.#pending === undefined) this.#resume();
  }

  // The end.

  #abort(cause: Cause): void {
    const answer = !this.#headSent && cause !== causes.clientGone;
    this.#resetRequest(cause);
    if (answer) {
      writeErrorResponse(this.#transport, cause, true);
      this.#endConnection();
    } else {
      this.#state = 'closing';
      this.#transport.destroy();
    }
  }

  #resetRequest(cause: Cause): void {
    const x = this.#exchange;
    const sink = this.#sink;
    this.#exchange = undefined;
    this.#sink = undefined;
    if (x !== undefined) sink?.requestReset(x, cause);
  }

  /** Sends what is pending, then closes; what the client still sends is read and dropped, so that it gets the answer and not a reset. */
  #endConnection(): void {
    if (this.#state === 'closing') return;
    this.#state = 'closing';
    this.#pending = undefined;
    this.#options.timers.cancel(this.#headTimer);
    this.#transport.end();
    if (this.#clientEnded) return;
    this.#resume();
    this.#options.timers.arm(this.#lingerTimer, LINGER_MS);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#transport.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#transport.resume();
  }
}

/** ms that a closed connection waits for the client's side to close, too. */
const LINGER_MS = 2_000;

function framingOf(x: Exchange, head: Head, body: OutgoingBody, end: boolean): OutgoingFraming {
  if (body === 'chunked') return 'chunked';
  if (body === 'close') return 'close';
  if (head.status === 204) return 'close';
  const bodiless = x.isHead || head.status === 304;
  return end && !bodiless && head.contentLength < 0 ? 'empty' : 'declared';
}
