import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import { passesReset, type Exchange, type RequestSink, type ResponseSink } from '../message/message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import { errorHead } from './error-head.ts';
import { ErrorCode } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import { blockBound, HeadEncoder, headerListSize } from './head-encoder.ts';
import type { EncodedKind } from './head-encoder.ts';
import type { Life } from './life.ts';
import { MAX_OUTPUT, STALL_DEADLINE_MS } from './limits.ts';
import type { Http2Options } from './options.ts';
import type { Receiver } from './receiver.ts';
import { Sender } from './sender.ts';
import type { SenderEvents } from './sender.ts';
import { StallWatch } from './stall-watch.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** Up to this many streams there is nothing to batch: output leaves with the read callback. */
const EAGER_STREAMS = 2;
/**
 * ms, to a tick of the wheel, that a connection has had no more streams than that before it counts as quiet. Of a busy
 * one's batch the first stream would leave by itself, and wake the peer for one request.
 */
const QUIET_MS = 100;

/** What both halves of a connection stand on. */
export interface ConnectionParts {
  server: boolean;
  transport: Transport;
  frames: FrameWriter;
  table: StreamTable;
  receiver: Receiver;
  life: Life;
  options: Http2Options;
}

/** Our side of the streams: heads, data, trailers and resets go out; and how a stream ends, whoever ends it. */
export class Outgoing implements RequestSink, ResponseSink, SenderEvents {
  readonly sender: Sender;
  readonly encoder: HeadEncoder;
  readonly #server: boolean;
  readonly #transport: Transport;
  readonly #frames: FrameWriter;
  readonly #table: StreamTable;
  readonly #receiver: Receiver;
  readonly #life: Life;
  readonly #options: Http2Options;
  readonly #responses: ResponseSink | undefined;
  readonly #stalls: StallWatch;
  readonly #timers: TimerWheel;
  #peerMaxHeaderList = Number.POSITIVE_INFINITY;
  readonly #quietTicks: number;
  /** The wheel's tick at which there were last more than `EAGER_STREAMS`. */
  #busyAt: number;

  constructor(parts: ConnectionParts) {
    const { options, table, frames } = parts;
    const { timers } = options;
    this.#server = parts.server;
    this.#timers = timers;
    this.#quietTicks = timers.ticksOf(QUIET_MS);
    this.#busyAt = timers.ticks - this.#quietTicks - 1;
    this.#transport = parts.transport;
    this.#frames = frames;
    this.#table = table;
    this.#receiver = parts.receiver;
    this.#life = parts.life;
    this.#options = options;
    this.#responses = options.responses;
    this.encoder = new HeadEncoder(options.isthmus);
    this.sender = new Sender(frames, timers, this);
    const stallMs = options.stallMs ?? STALL_DEADLINE_MS;
    this.#stalls = new StallWatch(table, timers, stallMs, (stream) => this.#stalled(stream));
  }

  /** SETTINGS_MAX_HEADER_LIST_SIZE of the peer. */
  setPeerMaxHeaderList(bytes: number): void {
    this.#peerMaxHeaderList = bytes;
  }

  /** Where the responses of an exchange go (client side). */
  responsesOf(x: Exchange): ResponseSink {
    return this.#responses ?? x.client;
  }

  // Requests out (client side).

  /** Takes a stream for the exchange; false when there is no room. */
  open(x: Exchange): boolean {
    if (!this.#life.opens || !this.#table.hasRoom) return false;
    x.upstreamStream = this.#table.openOwn(x, this.sender.initialWindow);
    this.opened();
    return true;
  }

  requestHead(x: Exchange, head: Head, end: boolean): void {
    let stream = this.#table.own(x.upstreamStream);
    if (stream === undefined || stream.headSent) {
      if (!this.open(x)) {
        x.refused = true;
        this.responsesOf(x).responseReset(x, causes.upstreamReset);
        return;
      }
      stream = this.#table.own(x.upstreamStream);
    }
    if (stream === undefined) return;
    const size = headerListSize(head);
    if (size > this.#peerMaxHeaderList) {
      this.#frames.reset(stream.id, ErrorCode.cancel);
      this.end(stream, causes.headTooLarge);
      return;
    }
    stream.headSent = true;
    this.#writeHead(stream, 'request', head, size, end);
    if (end) this.sentEnd(stream);
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#table.own(x.upstreamStream);
    if (stream !== undefined) this.sender.data(stream, buffer, start, end, last);
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    const stream = this.#table.own(x.upstreamStream);
    if (stream !== undefined) this.sender.trailers(stream, trailers);
  }

  requestReset(x: Exchange, cause: Cause): void {
    const stream = this.#table.own(x.upstreamStream);
    if (stream === undefined) return;
    if (!stream.closed) this.#frames.reset(stream.id, resetCode(x, cause));
    this.release(stream);
  }

  responseConsumed(x: Exchange, n: number): void {
    const stream = this.#table.own(x.upstreamStream);
    if (stream !== undefined) this.#receiver.consumed(stream, n);
  }

  // Responses out (server side).

  responseHead(x: Exchange, head: Head, end: boolean): void {
    const stream = this.#table.own(x.clientStream);
    if (stream === undefined) return;
    const size = headerListSize(head);
    if (size > this.#peerMaxHeaderList) {
      stream.sink?.requestReset(x, causes.protocolError);
      this.responseReset(x, causes.protocolError);
      return;
    }
    if (head.isFinal) {
      stream.headSent = true;
      x.status = head.status;
    }
    this.#writeHead(stream, 'response', head, size, end);
    if (end) this.sentEnd(stream);
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#table.own(x.clientStream);
    if (stream !== undefined) this.sender.data(stream, buffer, start, end, last);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    const stream = this.#table.own(x.clientStream);
    if (stream !== undefined) this.sender.trailers(stream, trailers);
  }

  responseReset(x: Exchange, cause: Cause): void {
    const stream = this.#table.own(x.clientStream);
    if (stream === undefined) return;
    // Who resets a response has given the request up.
    stream.sink = undefined;
    const refused = x.refused && this.#options.isthmus && !stream.headSent;
    if (refused || stream.headSent || passesReset(x, cause)) {
      if (!stream.closed)
        this.#frames.reset(stream.id, refused ? ErrorCode.refusedStream : resetCode(x, cause));
      this.release(stream);
      return;
    }
    this.#writeError(stream, cause);
    this.sentEnd(stream);
  }

  requestConsumed(x: Exchange, n: number): void {
    const stream = this.#table.own(x.clientStream);
    if (stream !== undefined) this.#receiver.consumed(stream, n);
  }

  // What the sender reports.

  sent(stream: Stream, n: number): void {
    const x = stream.exchange;
    if (this.#server) stream.sink?.responseConsumed(x, n);
    else this.responsesOf(x).requestConsumed(x, n);
  }

  writeTrailers(stream: Stream, trailers: Head): void {
    this.#writeHead(stream, 'trailers', trailers, headerListSize(trailers), true);
    this.sentEnd(stream);
  }

  sentEnd(stream: Stream): void {
    if (stream.localEnded) return;
    this.#table.endLocal(stream);
    const x = stream.exchange;
    if (this.#server) {
      x.responseEnded = true;
      // The answer did not wait for the whole request (RFC 9113 section 8.1). Opaque streams, and what Upgrade has made opaque, end each way by themselves.
      if (!stream.remoteEnded && !x.opaque && x.upgrade !== 'done') {
        this.#frames.reset(stream.id, ErrorCode.none);
        const { sink } = stream;
        this.release(stream);
        sink?.requestReset(x, causes.clientGone);
        return;
      }
    }
    if (stream.closed) this.release(stream);
  }

  /** @param size the head's size as a list */
  #writeHead(stream: Stream, kind: EncodedKind, head: Head, size: number, end: boolean): void {
    const bound = blockBound(size);
    const { maxFrameSize } = this.sender;
    if (bound <= maxFrameSize) {
      const { buffer, offset } = this.#frames.headersRoom(bound);
      const length = this.encoder.encode(kind, head, buffer, offset) - offset;
      this.#frames.headersDone(stream.id, length, end);
    } else {
      const block = Buffer.allocUnsafe(bound);
      const length = this.encoder.encode(kind, head, block, 0);
      this.#frames.longHeaders(stream.id, block, length, end, maxFrameSize);
    }
    this.boundOutput();
  }

  // How streams begin and end.

  /** The table has one more stream. */
  opened(): void {
    this.#pace();
    this.#stalls.watch();
  }

  /** When output leaves: at once on a quiet connection, else with all that the turn brings. */
  #pace(): void {
    const { ticks } = this.#timers;
    if (this.#table.size > EAGER_STREAMS) this.#busyAt = ticks;
    this.#transport.eager = ticks - this.#busyAt > this.#quietTicks;
  }

  /** A peer that asks without reading the answers is given up: they are not under flow control. */
  boundOutput(): void {
    if (this.#transport.pendingBytes > MAX_OUTPUT) this.#life.fail(ErrorCode.enhanceYourCalm);
  }

  /** Makes room when received bytes wait for too many slow receivers. */
  boundInput(): void {
    if (this.#receiver.overfull) this.#stalls.shedOldest();
  }

  /** A stream error (RFC 9113 section 5.4.2). */
  error(stream: Stream, code: number): void {
    this.#frames.reset(stream.id, code);
    this.end(stream, this.#server ? causes.badRequest : causes.protocolError);
  }

  /** Ends a stream that has not ended and tells the exchange. */
  end(stream: Stream, cause: Cause): void {
    const x = stream.exchange;
    const { sink, remoteEnded } = stream;
    if (!this.release(stream)) return;
    if (this.#server) sink?.requestReset(x, cause);
    // A response that has come whole stays good whatever becomes of the request.
    else if (!remoteEnded) this.responsesOf(x).responseReset(x, cause);
  }

  /** Forgets a stream, without a word to anybody; false: it was forgotten before. */
  release(stream: Stream): boolean {
    if (!this.#table.remove(stream)) return false;
    stream.sink = undefined;
    this.#receiver.discard(stream);
    this.sender.discard(stream);
    this.#pace();
    if (this.#life.state === 'open') this.#options.onCapacity?.();
    else this.#life.closeWhenDrained();
    return true;
  }

  /** The connection is lost: every stream ends. */
  endAll(): void {
    this.#stalls.stop();
    for (const stream of this.#table.values())
      this.end(stream, this.#server ? causes.clientGone : causes.upstreamReset);
  }

  /** A stream error of which the client hears in an answer first. */
  answerError(stream: Stream, cause: Cause): void {
    this.#writeError(stream, cause);
    this.#frames.reset(stream.id, cause.h2);
    this.release(stream);
  }

  #writeError(stream: Stream, cause: Cause): void {
    stream.headSent = true;
    const head = errorHead(cause, stream.exchange.grpc);
    stream.exchange.status = head.status;
    this.#writeHead(stream, 'response', head, headerListSize(head), true);
  }

  #stalled(stream: Stream): void {
    if (this.#server && !stream.headSent) {
      stream.sink?.requestReset(stream.exchange, causes.stalled);
      this.responseReset(stream.exchange, causes.stalled);
      return;
    }
    this.#frames.reset(stream.id, causes.stalled.h2);
    this.end(stream, causes.stalled);
  }
}

/** What the other side said when it reset the stream; else by the cause. Nobody is told that all is well. */
function resetCode(x: Exchange, cause: Cause): number {
  if (x.resetCode !== ErrorCode.none) return x.resetCode;
  return cause.h2 === ErrorCode.none ? ErrorCode.cancel : cause.h2;
}
