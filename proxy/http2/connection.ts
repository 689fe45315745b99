import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { equalsIgnoreCase, isGrpc } from '../field-names.ts';
import { Exchange, FieldId, Head } from '../message.ts';
import type { RequestSink, ResponseSink } from '../message.ts';
import { Timer } from '../transport/timers.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { MAX_BLOCK_BYTES } from './hpack-decoder.ts';
import { errorHead } from './error-head.ts';
import { FloodGuard } from './flood-guard.ts';
import { ErrorCode, Flag, FrameType, MAX_WINDOW, PREFACE, Setting } from './frames.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeadDecoder, MAX_HEADER_LIST } from './head-decoder.ts';
import type { HeadKind } from './head-decoder.ts';
import { HeadEncoder, headerListSize } from './head-encoder.ts';
import * as limits from './limits.ts';
import { Sender } from './sender.ts';
import type { SenderEvents } from './sender.ts';
import { Stream } from './stream.ts';

/** What a connection needs. */
export interface Http2Options {
  side: 'server' | 'client';
  timers: TimerWheel;
  /** The peer is one of our proxies (ALPN `isthmus/1`): `:isthmus-*` pseudo-headers are taken, as fields with their ids. From others they are malformed. */
  isthmus: boolean;
  /** Server side: says where a request goes; `requestHead` of the answer is called next, by the codec. */
  route?(x: Exchange, head: Head): RequestSink;
  /** Client side: where responses go; `x.client` when absent. */
  responses?: ResponseSink;
  /** Client side: the peer's SETTINGS have come, requests may be opened. Exactly once, before `onClose`. */
  onReady?(): void;
  /** A stream ended or the peer's limit rose: `available` may have become true. */
  onCapacity?(): void;
  /** The peer said GOAWAY or we drain: take it out of the pool; streams under way go on. At most once. */
  onDraining?(): void;
  /** A head that was refused before there was an exchange; for counting. */
  onRefused?(cause: Cause): void;
  /** Exactly once. `refused`: the peer closed before its SETTINGS (it judged our certificate, or is not there). */
  onClose?(refused: boolean): void;
  /** ms that a stream's receiver may take no bytes while some wait. */
  stallMs?: number;
}

/** Gone before SETTINGS, in use, no new streams, gone. One writer: the connection. */
type State = 'settings' | 'open' | 'draining' | 'closed';

const TCP = Buffer.from('tcp');
const HEAD_METHOD = Buffer.from('HEAD');
const KEEP_ALIVE_PAYLOAD = Buffer.from('isthmus\0');
const DRAIN_PAYLOAD = Buffer.from('goaway\0\0');
/** Up to this many streams there is nothing to batch: output leaves with the read callback. */
const EAGER_STREAMS = 2;

/** One HTTP/2 connection (RFC 9113): many exchanges over one transport. */
export class Http2Connection implements TransportHandler, RequestSink, ResponseSink, SenderEvents {
  readonly createdAt: number;
  readonly #transport: Transport;
  readonly #options: Http2Options;
  readonly #server: boolean;
  readonly #stallMs: number;
  readonly #head = new Head();
  readonly #reader = new FrameReader();
  readonly #frames: FrameWriter;
  readonly #decoder: HeadDecoder;
  readonly #encoder: HeadEncoder;
  readonly #sender: Sender;
  readonly #streams = new Map<number, Stream>();
  readonly #resets: FloodGuard;
  readonly #controls: FloodGuard;
  readonly #keepAlive = new Timer(() => this.#keepAliveDue());
  readonly #stallTimer = new Timer(() => this.#sweepStalled());
  readonly #drainTimer = new Timer(() => this.#drainDue());
  #state: State = 'settings';
  #preface: number;
  #nextId = 1;
  /** Highest stream id that the peer has opened, and the highest that we still answer. */
  #lastPeerId = 0;
  #acceptUpTo = MAX_WINDOW;
  #peerMaxStreams = Number.POSITIVE_INFINITY;
  #peerMaxHeaderList = Number.POSITIVE_INFINITY;
  /** Connection window: received and not yet credited; what the peer may still send. */
  #uncredited = 0;
  #receiveWindow = 65_535;
  #buffered = 0;
  /** A header block that goes on in CONTINUATION frames. */
  #block: Buffer[] = [];
  #blockBytes = 0;
  #blockStream = 0;
  #blockFlags = 0;
  #heard = true;
  #pinged = false;
  #toldDraining = false;
  #wasReady = false;

  constructor(transport: Transport, options: Http2Options) {
    const { timers } = options;
    this.createdAt = timers.now();
    this.#transport = transport;
    this.#options = options;
    this.#server = options.side === 'server';
    this.#stallMs = options.stallMs ?? limits.STALL_DEADLINE_MS;
    this.#frames = new FrameWriter(transport);
    this.#decoder = new HeadDecoder(this.#head, options.isthmus && this.#server);
    this.#encoder = new HeadEncoder(options.isthmus);
    this.#sender = new Sender(this.#frames, timers, this);
    this.#resets = new FloodGuard(limits.RESET_BURST, limits.RESETS_PER_SECOND, this.createdAt);
    this.#controls = new FloodGuard(limits.CONTROL_BURST, limits.CONTROLS_PER_SECOND, this.createdAt);
    this.#preface = this.#server ? 0 : PREFACE.length;
    transport.handler = this;
    this.#begin();
  }

  /** Client side: may open a stream now. */
  get available(): boolean {
    return (
      !this.#server &&
      this.#state === 'open' &&
      this.#streams.size < this.#peerMaxStreams &&
      this.#nextId < MAX_WINDOW
    );
  }
  /** The peer's SETTINGS have come. */
  get ready(): boolean {
    return this.#state === 'open' || this.#state === 'draining';
  }
  get draining(): boolean {
    return this.#state === 'draining';
  }
  get closed(): boolean {
    return this.#state === 'closed';
  }
  /** Streams under way. */
  get activeStreams(): number {
    return this.#streams.size;
  }
  /** Bytes received and not yet consumed, of all streams. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  #begin(): void {
    if (!this.#server) this.#transport.write(PREFACE, 0, PREFACE.length);
    const settings: [number, number][] = [
      [Setting.maxConcurrentStreams, limits.MAX_CONCURRENT_STREAMS],
      [Setting.initialWindowSize, limits.STREAM_WINDOW],
      [Setting.maxHeaderListSize, MAX_HEADER_LIST],
    ];
    if (!this.#server) settings.push([Setting.enablePush, 0]);
    this.#frames.settings(settings);
    this.#options.timers.arm(this.#keepAlive, limits.SETTINGS_TIMEOUT_MS);
  }

  // Life of the connection.

  /** Client side: takes a stream for the exchange (`requestHead` follows at once); false when not `available`. */
  open(x: Exchange): boolean {
    if (!this.available) return false;
    const stream = new Stream(this.#nextId, x, this.#sender.initialWindow, limits.STREAM_WINDOW);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    x.upstreamStream = stream;
    this.#opened();
    return true;
  }

  /** GOAWAY, no new streams; closes when the last one has ended. */
  drain(): void {
    if (this.#state === 'settings' && !this.#server) this.destroy();
    if (this.#state === 'closed' || this.#state === 'draining') return;
    this.#state = 'draining';
    this.#tellDraining();
    if (this.#server) {
      // RFC 9113 section 6.8: streams that the peer has opened meanwhile are still answered; its PING's answer says that it has heard.
      this.#frames.goaway(MAX_WINDOW, ErrorCode.none);
      this.#frames.ping(DRAIN_PAYLOAD, 0, false);
      this.#options.timers.arm(this.#drainTimer, limits.DRAIN_GRACE_MS);
    } else {
      this.#frames.goaway(0, ErrorCode.none);
      this.#closeWhenDrained();
    }
  }

  /** Closes at once: exchanges are reset. */
  destroy(): void {
    this.#transport.destroy();
    this.#closeStreams();
  }

  #drainDue(): void {
    if (this.#state !== 'draining') return;
    if (this.#server && this.#acceptUpTo === MAX_WINDOW) this.#finishDrain();
    // The peer has had its time to close its side.
    else if (this.#streams.size === 0) this.destroy();
  }

  #finishDrain(): void {
    if (this.#state !== 'draining' || this.#acceptUpTo !== MAX_WINDOW) return;
    this.#options.timers.cancel(this.#drainTimer);
    this.#acceptUpTo = this.#lastPeerId;
    this.#frames.goaway(this.#lastPeerId, ErrorCode.none);
    this.#closeWhenDrained();
  }

  #closeWhenDrained(): void {
    if (this.#state !== 'draining' || this.#streams.size > 0) return;
    if (this.#server && this.#acceptUpTo === MAX_WINDOW) return;
    this.#transport.end();
    this.#options.timers.arm(this.#drainTimer, limits.DRAIN_GRACE_MS);
  }

  #tellDraining(): void {
    if (this.#toldDraining) return;
    this.#toldDraining = true;
    this.#options.onDraining?.();
  }

  #connectionError(code: number): void {
    this.#frames.goaway(this.#lastPeerId, code);
    this.#transport.flush();
    this.destroy();
  }

  onClose(): void {
    const refused = !this.#wasReady;
    const { timers } = this.#options;
    timers.cancel(this.#keepAlive);
    timers.cancel(this.#stallTimer);
    timers.cancel(this.#drainTimer);
    this.#state = 'closed';
    this.#closeStreams();
    this.#options.onClose?.(refused);
  }

  onEnd(): void {
    // HTTP/2 has no use for half a connection.
    this.destroy();
  }

  onDrain(): void {
    this.#sender.outputDrained();
  }

  #closeStreams(): void {
    this.#state = 'closed';
    for (const stream of this.#streams.values())
      this.#end(stream, this.#server ? causes.clientGone : causes.upstreamReset);
    this.#streams.clear();
  }

  #keepAliveDue(): void {
    if (this.#state === 'settings') {
      this.#connectionError(ErrorCode.settingsTimeout);
      return;
    }
    if (this.#heard) {
      this.#heard = false;
      this.#pinged = false;
      this.#options.timers.arm(this.#keepAlive, limits.PING_AFTER_MS);
      return;
    }
    if (this.#pinged) {
      this.destroy();
      return;
    }
    this.#pinged = true;
    this.#frames.ping(KEEP_ALIVE_PAYLOAD, 0, false);
    this.#options.timers.arm(this.#keepAlive, limits.PING_ANSWER_MS);
  }

  /** Streams whose waiting bytes have not moved for the deadline are reset; the others don't notice. */
  #sweepStalled(): void {
    const { timers } = this.#options;
    const oldest = timers.now() - this.#stallMs;
    for (const stream of this.#streams.values()) {
      if (stream.progressAt <= oldest && isWaiting(stream)) this.#stalled(stream);
    }
    if (this.#streams.size > 0) timers.arm(this.#stallTimer, this.#stallMs / 4);
  }

  #stalled(stream: Stream): void {
    if (this.#server && !stream.headSent) {
      stream.sink?.requestReset(stream.exchange, causes.stalled);
      stream.sink = undefined;
      this.responseReset(stream.exchange, causes.stalled);
      return;
    }
    this.#frames.reset(stream.id, causes.stalled.h2);
    this.#end(stream, causes.stalled);
  }

  // Bytes in.

  onData(buffer: Buffer, start: number, end: number): void {
    this.#heard = true;
    let i = this.#preface < PREFACE.length ? this.#readPreface(buffer, start, end) : start;
    const reader = this.#reader;
    while (this.#state !== 'closed') {
      const event = reader.next(buffer, i, end);
      i = reader.position;
      if (event === 'more') break;
      if (event === 'too-large') this.#connectionError(ErrorCode.frameSize);
      else if (event === 'data')
        this.#dataFrame(reader.streamId, reader.start, reader.end, reader.end - reader.start);
      else this.#frame();
    }
  }

  #readPreface(buffer: Buffer, start: number, end: number): number {
    let i = start;
    while (i < end && this.#preface < PREFACE.length) {
      if (buffer[i++] !== PREFACE[this.#preface++]) {
        this.destroy();
        return end;
      }
    }
    return i;
  }

  #frame(): void {
    const { type, streamId, start, end } = this.#reader;
    if (this.#state === 'settings' && type !== FrameType.settings) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    if (this.#blockStream !== 0 && (type !== FrameType.continuation || streamId !== this.#blockStream)) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    switch (type) {
      case FrameType.data:
        this.#paddedData();
        break;
      case FrameType.headers:
        this.#headersFrame();
        break;
      case FrameType.continuation:
        this.#continuationFrame();
        break;
      case FrameType.reset:
        this.#resetFrame();
        break;
      case FrameType.settings:
        this.#settingsFrame();
        break;
      case FrameType.ping:
        this.#pingFrame();
        break;
      case FrameType.goaway:
        this.#goawayFrame();
        break;
      case FrameType.windowUpdate:
        this.#windowUpdateFrame();
        break;
      case FrameType.pushPromise:
        this.#connectionError(ErrorCode.protocol);
        break;
      case FrameType.priority:
        if (streamId === 0 || end - start !== 5) this.#connectionError(ErrorCode.protocol);
        else this.#control();
        break;
      default:
        // Unknown frames are ignored (RFC 9113 section 4.1), but not for ever.
        this.#control();
    }
  }

  /** Counts a frame that brings nothing. */
  #control(): boolean {
    if (this.#controls.allow(this.#options.timers.now())) return true;
    this.#connectionError(ErrorCode.enhanceYourCalm);
    return false;
  }

  #paddedData(): void {
    const { buffer, start, end, streamId } = this.#reader;
    const padding = end > start ? buffer[start]! : 0;
    if (end === start || padding >= end - start) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    this.#reader.last = true;
    this.#dataFrame(streamId, start + 1, end - padding, end - start);
  }

  /** `counted`: bytes by which the frame counts against the windows, padding included. */
  #dataFrame(id: number, start: number, end: number, counted: number): void {
    const { buffer, flags, last } = this.#reader;
    if (this.#state === 'settings' || this.#blockStream !== 0 || this.#isIdle(id)) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    if (counted === 0 && (flags & Flag.endStream) === 0 && !this.#control()) return;
    if (!this.#receivedOnConnection(counted)) return;
    const stream = this.#streams.get(id);
    // The stream was reset by us while its bytes were on their way.
    if (stream === undefined) return;
    const endStream = last && (flags & Flag.endStream) !== 0;
    stream.receiveWindow -= counted;
    stream.received += end - start;
    if (stream.remoteEnded || !this.#headCame(stream))
      this.#streamError(stream, ErrorCode.streamClosed, causes.protocolError);
    else if (stream.receiveWindow < 0) this.#streamError(stream, ErrorCode.flowControl, causes.protocolError);
    else if (!lengthFits(stream, endStream))
      this.#streamError(stream, ErrorCode.protocol, causes.protocolError);
    else this.#deliver(stream, buffer, start, end, counted, endStream);
  }

  #deliver(stream: Stream, buffer: Buffer, start: number, end: number, counted: number, last: boolean): void {
    const n = end - start;
    if (stream.unconsumed === 0) stream.progressAt = this.#options.timers.now();
    stream.unconsumed += n;
    this.#buffered += n;
    // Padding is consumed by arriving.
    if (counted > n) this.#creditStream(stream, counted - n);
    if (last) stream.remoteEnded = true;
    const x = stream.exchange;
    if (this.#server) {
      if (last) x.requestEnded = true;
      stream.sink?.requestData(x, buffer, start, end, last);
    } else {
      this.#responses(x).responseData(x, buffer, start, end, last);
    }
    if (last) this.#closeIfEnded(stream);
    if (this.#buffered > limits.CONNECTION_BUFFER) this.#shedOldest();
  }

  /** The connection's window is credited on receipt: a stream whose receiver is slow holds up only itself. */
  #receivedOnConnection(n: number): boolean {
    this.#receiveWindow -= n;
    this.#uncredited += n;
    if (this.#receiveWindow < 0) {
      this.#connectionError(ErrorCode.flowControl);
      return false;
    }
    if (this.#uncredited >= limits.CONNECTION_CREDIT) this.#creditConnection();
    return true;
  }

  #creditConnection(): void {
    this.#frames.windowUpdate(0, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  #creditStream(stream: Stream, n: number): void {
    stream.uncredited += n;
    if (stream.remoteEnded || stream.uncredited < limits.STREAM_WINDOW / 2) return;
    this.#frames.windowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  #consumed(stream: Stream, n: number): void {
    if (stream.closed || n <= 0) return;
    const counted = Math.min(n, stream.unconsumed);
    stream.unconsumed -= counted;
    this.#buffered -= counted;
    stream.progressAt = this.#options.timers.now();
    this.#creditStream(stream, counted);
  }

  /** Too many bytes wait in all: those that have been stuck longest make room. */
  #shedOldest(): void {
    let oldest: Stream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.unconsumed > 0 && (oldest === undefined || stream.progressAt < oldest.progressAt))
        oldest = stream;
    }
    if (oldest !== undefined) this.#stalled(oldest);
  }

  #headersFrame(): void {
    const { buffer, flags, streamId } = this.#reader;
    let { start, end } = this.#reader;
    if (streamId === 0 || (streamId & 1) === 0) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    if ((flags & Flag.padded) !== 0) end -= buffer[start++] ?? 0;
    if ((flags & Flag.priority) !== 0) start += 5;
    if (start > end) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    if ((flags & Flag.endHeaders) !== 0) {
      this.#headBlock(streamId, (flags & Flag.endStream) !== 0, buffer, start, end);
      return;
    }
    this.#blockStream = streamId;
    this.#blockFlags = flags;
    this.#blockBytes = 0;
    this.#collectBlock(buffer, start, end);
  }

  #continuationFrame(): void {
    const { buffer, start, end, flags } = this.#reader;
    if (this.#blockStream === 0) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    if (!this.#collectBlock(buffer, start, end) || (flags & Flag.endHeaders) === 0) return;
    const block = Buffer.concat(this.#block);
    const id = this.#blockStream;
    this.#block = [];
    this.#blockStream = 0;
    this.#headBlock(id, (this.#blockFlags & Flag.endStream) !== 0, block, 0, block.length);
  }

  #collectBlock(buffer: Buffer, start: number, end: number): boolean {
    this.#blockBytes += end - start;
    if (this.#blockBytes > MAX_BLOCK_BYTES || (start === end && !this.#control())) {
      this.#connectionError(ErrorCode.enhanceYourCalm);
      return false;
    }
    this.#block.push(Buffer.from(buffer.subarray(start, end)));
    return true;
  }

  #headBlock(id: number, end: boolean, b: Buffer, from: number, to: number): void {
    const stream = this.#streams.get(id);
    const fresh = stream === undefined && this.#server && id > this.#lastPeerId;
    if (stream === undefined && !fresh && this.#isIdle(id)) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    const kind: HeadKind = fresh
      ? 'request'
      : stream !== undefined && this.#headCame(stream)
        ? 'trailers'
        : 'response';
    // Decoded in any case: the table is shared by all streams.
    const decoded = this.#decoder.decode(b, from, to, this.#head, kind);
    if (decoded === 'compression') {
      this.#connectionError(ErrorCode.compression);
      return;
    }
    if (fresh) this.#newRequest(id, end, decoded);
    else if (stream !== undefined) this.#laterHead(stream, end, decoded, kind);
  }

  #newRequest(id: number, end: boolean, decoded: 'ok' | 'malformed' | 'too-large'): void {
    this.#lastPeerId = id;
    if (id > this.#acceptUpTo || this.#streams.size >= limits.MAX_CONCURRENT_STREAMS) {
      this.#frames.reset(id, ErrorCode.refusedStream);
      if (!this.#resets.allow(this.#options.timers.now())) this.#connectionError(ErrorCode.enhanceYourCalm);
      return;
    }
    const head = this.#head;
    const x = new Exchange(this);
    const stream = new Stream(id, x, this.#sender.initialWindow, limits.STREAM_WINDOW);
    x.clientStream = stream;
    x.startedAt = this.#options.timers.now();
    stream.remoteEnded = end;
    x.requestEnded = end;
    this.#streams.set(id, stream);
    this.#opened();
    if (decoded !== 'ok' || (end && head.contentLength > 0)) {
      this.#refuse(stream, decoded === 'too-large' ? causes.headTooLarge : causes.badRequest);
      return;
    }
    this.#describe(stream, head);
    const sink = this.#options.route?.(x, head);
    if (sink === undefined || stream.closed) return;
    stream.sink = sink;
    sink.requestHead(x, head, end);
  }

  #describe(stream: Stream, head: Head): void {
    const x = stream.exchange;
    stream.declared = head.contentLength;
    x.isHead = HEAD_METHOD.compare(head.method.buffer, head.method.start, head.method.end) === 0;
    const type = head.find(FieldId.contentType);
    stream.grpc = type >= 0 && isGrpc(head.valueBuffer[type]!, head.valueStart[type]!, head.valueEnd[type]!);
    const protocol = head.find(FieldId.isthmusProtocol);
    if (protocol < 0) return;
    x.opaque = equalsIgnoreCase(
      head.valueBuffer[protocol]!,
      head.valueStart[protocol]!,
      head.valueEnd[protocol]!,
      TCP,
    );
  }

  /** A request that no layer should see: answered, then reset. */
  #refuse(stream: Stream, cause: Cause): void {
    this.#options.onRefused?.(cause);
    this.responseReset(stream.exchange, cause);
  }

  #laterHead(stream: Stream, end: boolean, decoded: 'ok' | 'malformed' | 'too-large', kind: HeadKind): void {
    const x = stream.exchange;
    if (stream.remoteEnded) {
      this.#streamError(stream, ErrorCode.streamClosed, causes.protocolError);
      return;
    }
    if (decoded !== 'ok' || (kind === 'trailers' && !end)) {
      this.#streamError(stream, ErrorCode.protocol, causes.protocolError);
      return;
    }
    const head = this.#head;
    const informational = kind === 'response' && head.status < 200;
    if (informational && end) {
      this.#streamError(stream, ErrorCode.protocol, causes.protocolError);
      return;
    }
    if (kind === 'response' && !informational) {
      stream.headReceived = true;
      const bodiless = x.isHead || head.status === 304 || head.status === 204;
      stream.declared = bodiless ? -1 : head.contentLength;
    }
    if (!lengthFits(stream, end)) {
      this.#streamError(stream, ErrorCode.protocol, causes.protocolError);
      return;
    }
    if (end) stream.remoteEnded = true;
    if (this.#server) {
      x.requestEnded = true;
      stream.sink?.requestTrailers(x, head);
    } else if (kind === 'response') this.#responses(x).responseHead(x, head, end);
    else this.#responses(x).responseTrailers(x, head);
    if (end) this.#closeIfEnded(stream);
  }

  #resetFrame(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (end - start !== 4 || this.#isIdle(streamId)) {
      this.#connectionError(end - start === 4 ? ErrorCode.protocol : ErrorCode.frameSize);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (this.#server && !this.#resets.allow(this.#options.timers.now())) {
      this.#connectionError(ErrorCode.enhanceYourCalm);
      return;
    }
    if (stream === undefined) return;
    if (buffer.readUInt32BE(start) === ErrorCode.refusedStream) stream.exchange.refused = true;
    this.#end(stream, this.#server ? causes.clientGone : causes.upstreamReset);
  }

  #settingsFrame(): void {
    const { buffer, start, end, flags, streamId } = this.#reader;
    const length = end - start;
    if (streamId !== 0 || ((flags & Flag.ack) !== 0 ? length !== 0 : length % 6 !== 0)) {
      this.#connectionError(streamId === 0 ? ErrorCode.frameSize : ErrorCode.protocol);
      return;
    }
    if ((flags & Flag.ack) !== 0) {
      if (this.#state === 'settings') this.#connectionError(ErrorCode.protocol);
      return;
    }
    for (let i = start; i < end; i += 6) {
      const error = this.#applySetting(buffer.readUInt16BE(i), buffer.readUInt32BE(i + 2));
      if (error === ErrorCode.none) continue;
      this.#connectionError(error);
      return;
    }
    this.#frames.settingsAck();
    if (this.#state === 'settings') this.#becomeOpen();
    else if (this.#control()) this.#options.onCapacity?.();
  }

  #applySetting(id: number, value: number): number {
    switch (id) {
      case Setting.headerTableSize:
        this.#encoder.setTableLimit(value);
        break;
      case Setting.enablePush:
        if (value > 1) return ErrorCode.protocol;
        break;
      case Setting.maxConcurrentStreams:
        this.#peerMaxStreams = value;
        break;
      case Setting.initialWindowSize:
        if (value > MAX_WINDOW || !this.#sender.setInitialWindow(value, this.#streams.values()))
          return ErrorCode.flowControl;
        break;
      case Setting.maxFrameSize:
        if (value < 16_384 || value > 16_777_215) return ErrorCode.protocol;
        this.#sender.setMaxFrameSize(value);
        break;
      case Setting.maxHeaderListSize:
        this.#peerMaxHeaderList = value;
        break;
      default:
        break;
    }
    return ErrorCode.none;
  }

  #becomeOpen(): void {
    this.#state = 'open';
    this.#wasReady = true;
    this.#uncredited = limits.CONNECTION_WINDOW - this.#receiveWindow;
    this.#creditConnection();
    this.#options.timers.arm(this.#keepAlive, limits.PING_AFTER_MS);
    this.#options.onReady?.();
  }

  #pingFrame(): void {
    const { buffer, start, end, flags, streamId } = this.#reader;
    if (streamId !== 0 || end - start !== 8) {
      this.#connectionError(streamId === 0 ? ErrorCode.frameSize : ErrorCode.protocol);
    } else if ((flags & Flag.ack) === 0) {
      if (this.#control()) this.#frames.ping(buffer, start, true);
    } else if (DRAIN_PAYLOAD.compare(buffer, start, end) === 0) {
      this.#finishDrain();
    }
  }

  #goawayFrame(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (streamId !== 0 || end - start < 8) {
      this.#connectionError(ErrorCode.protocol);
      return;
    }
    const last = buffer.readUInt32BE(start) & MAX_WINDOW;
    if (this.#state === 'open') this.#state = 'draining';
    this.#tellDraining();
    if (this.#server) {
      this.#acceptUpTo = Math.min(this.#acceptUpTo, this.#lastPeerId);
    } else {
      // RFC 9113 section 6.8: streams above were not and will not be processed.
      for (const stream of this.#streams.values()) {
        if (stream.id <= last) continue;
        stream.exchange.refused = true;
        this.#end(stream, causes.upstreamReset);
      }
    }
    this.#closeWhenDrained();
  }

  #windowUpdateFrame(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (end - start !== 4 || this.#isIdle(streamId)) {
      this.#connectionError(end - start === 4 ? ErrorCode.protocol : ErrorCode.frameSize);
      return;
    }
    const n = buffer.readUInt32BE(start) & MAX_WINDOW;
    if (streamId === 0) {
      if (n === 0) this.#connectionError(ErrorCode.protocol);
      else if (!this.#sender.credit(undefined, n)) this.#connectionError(ErrorCode.flowControl);
      return;
    }
    const stream = this.#streams.get(streamId);
    // It may have ended while the credit was on its way.
    if (stream === undefined) return;
    if (n === 0) this.#streamError(stream, ErrorCode.protocol, causes.protocolError);
    else if (!this.#sender.credit(stream, n))
      this.#streamError(stream, ErrorCode.flowControl, causes.protocolError);
  }

  // Requests out (client side).

  requestHead(x: Exchange, head: Head, end: boolean): void {
    let stream = this.#own(x.upstreamStream);
    if (stream === undefined || stream.headSent) {
      if (!this.open(x)) {
        x.refused = true;
        this.#responses(x).responseReset(x, causes.upstreamReset);
        return;
      }
      stream = this.#own(x.upstreamStream);
    }
    if (stream === undefined) return;
    if (headerListSize(head) > this.#peerMaxHeaderList) {
      this.#frames.reset(stream.id, ErrorCode.cancel);
      this.#end(stream, causes.headTooLarge);
      return;
    }
    stream.headSent = true;
    this.#writeHead(stream, this.#encoder.request(head), end);
    if (end) this.sentEnd(stream);
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#own(x.upstreamStream);
    if (stream !== undefined) this.#sender.data(stream, buffer, start, end, last);
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    const stream = this.#own(x.upstreamStream);
    if (stream !== undefined) this.#sender.trailers(stream, trailers);
  }

  requestReset(x: Exchange, cause: Cause): void {
    const stream = this.#own(x.upstreamStream);
    if (stream === undefined) return;
    this.#frames.reset(stream.id, cause.h2 === ErrorCode.none ? ErrorCode.cancel : cause.h2);
    this.#close(stream);
  }

  responseConsumed(x: Exchange, n: number): void {
    const stream = this.#own(x.upstreamStream);
    if (stream !== undefined) this.#consumed(stream, n);
  }

  // Responses out (server side).

  responseHead(x: Exchange, head: Head, end: boolean): void {
    const stream = this.#own(x.clientStream);
    if (stream === undefined) return;
    if (headerListSize(head) > this.#peerMaxHeaderList) {
      stream.sink?.requestReset(x, causes.protocolError);
      stream.sink = undefined;
      this.responseReset(x, causes.protocolError);
      return;
    }
    if (head.status >= 200) {
      stream.headSent = true;
      x.status = head.status;
    }
    this.#writeHead(stream, this.#encoder.response(head), end);
    if (end) this.sentEnd(stream);
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#own(x.clientStream);
    if (stream !== undefined) this.#sender.data(stream, buffer, start, end, last);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    const stream = this.#own(x.clientStream);
    if (stream !== undefined) this.#sender.trailers(stream, trailers);
  }

  responseReset(x: Exchange, cause: Cause): void {
    const stream = this.#own(x.clientStream);
    if (stream === undefined) return;
    // Who resets a response has given the request up.
    stream.sink = undefined;
    if (stream.headSent) {
      this.#frames.reset(stream.id, cause.h2);
      this.#close(stream);
      return;
    }
    stream.headSent = true;
    const head = errorHead(cause, stream.grpc);
    x.status = head.status;
    this.#writeHead(stream, this.#encoder.response(head), true);
    this.sentEnd(stream);
  }

  requestConsumed(x: Exchange, n: number): void {
    const stream = this.#own(x.clientStream);
    if (stream !== undefined) this.#consumed(stream, n);
  }

  #writeHead(stream: Stream, block: { buffer: Buffer; length: number }, end: boolean): void {
    this.#frames.headers(stream.id, block.buffer, block.length, end, this.#sender.maxFrameSize);
  }

  /** The sender's report: bytes have left for the transport. */
  sent(stream: Stream, n: number): void {
    const x = stream.exchange;
    if (this.#server) stream.sink?.responseConsumed(x, n);
    else this.#responses(x).requestConsumed(x, n);
  }

  writeTrailers(stream: Stream, trailers: Head): void {
    this.#writeHead(stream, this.#encoder.trailers(trailers), true);
    this.sentEnd(stream);
  }

  /** The sender's report: our message has ended. */
  sentEnd(stream: Stream): void {
    if (stream.localEnded || stream.closed) return;
    stream.localEnded = true;
    const x = stream.exchange;
    if (this.#server) {
      x.responseEnded = true;
      // The answer did not wait for the whole request (RFC 9113 section 8.1). Opaque streams end each way by themselves.
      if (!stream.remoteEnded && !x.opaque) {
        this.#frames.reset(stream.id, ErrorCode.none);
        const { sink } = stream;
        this.#close(stream);
        sink?.requestReset(x, causes.clientGone);
        return;
      }
    }
    this.#closeIfEnded(stream);
  }

  // Streams.

  #opened(): void {
    this.#transport.eager = this.#streams.size <= EAGER_STREAMS;
    if (!this.#stallTimer.armed) this.#options.timers.arm(this.#stallTimer, this.#stallMs / 4);
  }

  #streamError(stream: Stream, code: number, cause: Cause): void {
    this.#frames.reset(stream.id, code);
    this.#end(stream, this.#server ? causes.badRequest : cause);
  }

  #closeIfEnded(stream: Stream): void {
    if (stream.localEnded && stream.remoteEnded) this.#close(stream);
  }

  /** Closes a stream that has not ended and tells the exchange. */
  #end(stream: Stream, cause: Cause): void {
    if (stream.closed) return;
    const x = stream.exchange;
    const { sink, remoteEnded } = stream;
    this.#close(stream);
    if (this.#server) sink?.requestReset(x, cause);
    // A response that has come whole stays good whatever becomes of the request.
    else if (!remoteEnded) this.#responses(x).responseReset(x, cause);
  }

  #close(stream: Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    stream.sink = undefined;
    this.#buffered -= stream.unconsumed;
    stream.unconsumed = 0;
    this.#sender.discard(stream);
    this.#streams.delete(stream.id);
    this.#transport.eager = this.#streams.size <= EAGER_STREAMS;
    if (this.#state === 'draining') this.#closeWhenDrained();
    else if (this.#state === 'open') this.#options.onCapacity?.();
  }

  #headCame(stream: Stream): boolean {
    return this.#server || stream.headReceived;
  }

  #isIdle(id: number): boolean {
    if ((id & 1) === 0) return id !== 0;
    return this.#server ? id > this.#lastPeerId : id >= this.#nextId;
  }

  /** The state, if it is a stream of this connection that is under way: a retried exchange may carry one of another. */
  #own(state: unknown): Stream | undefined {
    return state instanceof Stream && this.#streams.get(state.id) === state ? state : undefined;
  }

  #responses(x: Exchange): ResponseSink {
    return this.#options.responses ?? x.client;
  }
}

/** Bytes wait for this stream's receiver: ours has not taken them, or the peer gives no window. */
function isWaiting(stream: Stream): boolean {
  return stream.queue.length > 0 || (stream.unconsumed > 0 && !stream.remoteEnded);
}

/** Content-Length and DATA must agree (RFC 9113 section 8.1.1). */
function lengthFits(stream: Stream, end: boolean): boolean {
  if (stream.declared < 0) return true;
  return end ? stream.received === stream.declared : stream.received <= stream.declared;
}
