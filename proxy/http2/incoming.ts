import { equalBytes } from '../bytes/bytes.ts';
import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { equalsIgnoreCase, isGrpc } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import { Head, SWITCHING_PROTOCOLS } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import { FloodGuard } from './flood-guard.ts';
import type { FrameHandler } from './frame-dispatch.ts';
import { ErrorCode } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import { HeadDecoder } from './head-decoder.ts';
import type { DecodedHead, HeadKind } from './head-decoder.ts';
import type { Life } from './life.ts';
import { PROXY_RESETS_PER_SECOND, PROXY_RESET_BURST, RESETS_PER_SECOND, RESET_BURST } from './limits.ts';
import type { Http2Options } from './options.ts';
import type { ConnectionParts, Outgoing } from './outgoing.ts';
import { applySettings } from './peer-settings.ts';
import type { Receiver } from './receiver.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

const TCP = Buffer.from('tcp');
const HTTP2 = Buffer.from('h2');
const HEAD_METHOD = Buffer.from('HEAD');

/** The peer's side of the streams: what its frames mean to exchanges. */
export class Incoming implements FrameHandler {
  readonly #options: Http2Options;
  readonly #server: boolean;
  readonly #frames: FrameWriter;
  readonly #table: StreamTable;
  readonly #receiver: Receiver;
  readonly #outgoing: Outgoing;
  readonly #life: Life;
  readonly #timers: TimerWheel;
  readonly #head = new Head();
  readonly #decoder: HeadDecoder;
  readonly #resets: FloodGuard;

  constructor(parts: ConnectionParts & { outgoing: Outgoing }) {
    const { server, options } = parts;
    this.#options = options;
    this.#server = server;
    this.#frames = parts.frames;
    this.#table = parts.table;
    this.#receiver = parts.receiver;
    this.#outgoing = parts.outgoing;
    this.#life = parts.life;
    this.#timers = options.timers;
    this.#decoder = new HeadDecoder(this.#head, options.isthmus);
    // Apps and clients come in the clear: who speaks TLS to us is a proxy.
    const [burst, perSecond] = parts.transport.encrypted
      ? [PROXY_RESET_BURST, PROXY_RESETS_PER_SECOND]
      : [RESET_BURST, RESETS_PER_SECOND];
    this.#resets = new FloodGuard(burst, perSecond, options.timers.now());
  }

  // Data.

  data(
    id: number,
    b: Buffer,
    start: number,
    end: number,
    counted: number,
    left: number,
    endStream: boolean,
  ): void {
    if (!this.#receiver.arrived(counted)) return this.#life.fail(ErrorCode.flowControl);
    const stream = this.#table.get(id);
    if (stream === undefined) return this.#dataOfNone(id);
    const inWindow = this.#receiver.arrivedOn(stream, end - start, counted);
    if (stream.remoteEnded || !this.#headCame(stream)) this.#outgoing.error(stream, ErrorCode.streamClosed);
    else if (!inWindow) this.#outgoing.error(stream, ErrorCode.flowControl);
    else if (!stream.lengthFits(endStream, left)) this.#outgoing.error(stream, ErrorCode.protocol);
    else this.#deliver(stream, b, start, end, counted, endStream && left === 0);
  }

  /** Data of a stream that is over: an error (RFC 9113 section 6.1), unless it was on its way while we reset the stream (section 5.1). */
  #dataOfNone(id: number): void {
    if (this.#frames.hasReset(id)) return;
    this.#frames.reset(id, ErrorCode.streamClosed);
    this.#countReset();
  }

  /** Counts a stream that the peer has made end early; it ends the connection where there are too many. */
  #countReset(): boolean {
    if (this.#resets.allow(this.#timers.now())) return true;
    this.#life.fail(ErrorCode.enhanceYourCalm);
    return false;
  }

  #deliver(stream: Stream, b: Buffer, start: number, end: number, counted: number, last: boolean): void {
    const n = end - start;
    this.#receiver.hold(stream, n, counted - n);
    if (last) this.#table.endRemote(stream);
    const x = stream.exchange;
    if (this.#server) {
      if (last) x.requestEnded = true;
      stream.sink?.requestData(x, b, start, end, last);
    } else {
      this.#outgoing.responsesOf(x).responseData(x, b, start, end, last);
    }
    if (stream.closed) this.#outgoing.release(stream);
    this.#outgoing.boundInput();
  }

  // Heads.

  headers(id: number, endStream: boolean, b: Buffer, start: number, end: number): void {
    const stream = this.#table.get(id);
    const isNew = stream === undefined && this.#table.isNew(id);
    if (stream === undefined && !isNew && this.#table.isIdle(id)) return this.#life.fail(ErrorCode.protocol);
    const kind = isNew ? 'request' : this.#server || stream?.headReceived === true ? 'trailers' : 'response';
    // Decoded in any case: the table is shared by all streams.
    const decoded = this.#decoder.decode(b, start, end, this.#head, kind);
    if (decoded === 'compression') this.#life.fail(ErrorCode.compression);
    else if (isNew) this.#newRequest(id, endStream, decoded);
    else if (stream !== undefined) this.#laterHead(stream, endStream, decoded, kind);
    // Trailers of a stream that we reset may have been on their way. But what opens a request here uses an id again (RFC 9113 section 5.1.1).
    else if (this.#server && decoded === 'malformed') this.#life.fail(ErrorCode.protocol);
  }

  #newRequest(id: number, end: boolean, decoded: DecodedHead): void {
    if (!this.#table.admit(id)) {
      this.#frames.reset(id, ErrorCode.refusedStream);
      this.#countReset();
      return;
    }
    const head = this.#head;
    const x = new Exchange(this.#outgoing);
    const stream = this.#table.openPeers(id, x, this.#outgoing.sender.initialWindow, end);
    x.clientStream = stream;
    x.startedAt = this.#timers.now();
    x.requestEnded = end;
    this.#outgoing.opened();
    const upgrades = this.#decoder.upgrade;
    if (upgrades) x.upgrade = 'asked';
    if (decoded !== 'ok' || (end && (head.contentLength > 0 || upgrades))) {
      this.#refuse(stream, decoded === 'too-large' ? causes.headTooLarge : causes.badRequest);
      return;
    }
    x.http2 = !this.#options.isthmus;
    describe(stream, head);
    const sink = this.#options.route?.(x, head);
    if (sink === undefined || stream.closed) return;
    stream.sink = sink;
    sink.requestHead(x, head, end);
  }

  /** A request that no layer should see is answered; what is malformed is a stream error, too (RFC 9113 section 8.1.1). */
  #refuse(stream: Stream, cause: Cause): void {
    this.#options.onRefused?.(cause);
    if (cause === causes.badRequest) this.#outgoing.answerError(stream, cause);
    else this.#outgoing.responseReset(stream.exchange, cause);
  }

  #laterHead(stream: Stream, end: boolean, decoded: DecodedHead, kind: HeadKind): void {
    const head = this.#head;
    const x = stream.exchange;
    const informational = kind === 'response' && !head.isFinal;
    const switches = kind === 'response' && head.status === SWITCHING_PROTOCOLS;
    if (stream.remoteEnded) return this.#outgoing.error(stream, ErrorCode.streamClosed);
    if (decoded !== 'ok' || (kind === 'trailers' && !end) || (informational && end))
      return this.#outgoing.error(stream, ErrorCode.protocol);
    if (switches && (x.upgrade !== 'asked' || end)) return this.#outgoing.error(stream, ErrorCode.protocol);
    if (switches) x.upgrade = 'done';
    if (kind === 'response' && !informational) {
      stream.headReceived = true;
      const bodiless = x.isHead || head.status === 304 || head.status === 204;
      stream.declared = bodiless ? 0 : head.contentLength;
    }
    if (!stream.lengthFits(end, 0)) return this.#outgoing.error(stream, ErrorCode.protocol);
    if (end) this.#table.endRemote(stream);
    if (this.#server) {
      x.requestEnded = true;
      stream.sink?.requestTrailers(x, head);
    } else if (kind === 'response') this.#outgoing.responsesOf(x).responseHead(x, head, end);
    else this.#outgoing.responsesOf(x).responseTrailers(x, head);
    if (stream.closed) this.#outgoing.release(stream);
  }

  #headCame(stream: Stream): boolean {
    return this.#server || stream.headReceived;
  }

  // Control.

  streamReset(id: number, code: number): void {
    if (this.#server && !this.#countReset()) return;
    const stream = this.#table.get(id);
    if (stream === undefined) return;
    const refused = code === ErrorCode.refusedStream;
    if (refused) stream.exchange.refused = true;
    else stream.exchange.resetCode = code;
    const lost = refused && this.#options.isthmus ? causes.connectFailed : causes.upstreamReset;
    this.#outgoing.end(stream, this.#server ? causes.clientGone : lost);
  }

  settings(b: Buffer, start: number, end: number): void {
    const error = applySettings(b, start, end, this.#table, this.#outgoing);
    if (error !== ErrorCode.none) this.#life.fail(error);
  }

  settingsDone(first: boolean): void {
    this.#frames.settingsAck();
    this.#outgoing.boundOutput();
    if (!first) {
      this.#options.onCapacity?.();
      return;
    }
    this.#receiver.start();
    this.#life.open();
  }

  ping(b: Buffer, start: number, ack: boolean): void {
    if (ack) {
      this.#life.pingAnswered(b, start);
      return;
    }
    this.#frames.ping(b, start, true);
    this.#life.asked();
    this.#outgoing.boundOutput();
  }

  goaway(lastStreamId: number): void {
    this.#life.peerDrains();
    if (!this.#server) {
      // RFC 9113 section 6.8: streams above were not and will not be processed.
      for (const stream of this.#table.values()) {
        if (stream.id <= lastStreamId) continue;
        stream.exchange.refused = true;
        this.#outgoing.end(stream, causes.upstreamReset);
      }
    }
    this.#life.closeWhenDrained();
  }

  windowUpdate(id: number, increment: number): void {
    const { sender } = this.#outgoing;
    if (id === 0) {
      if (increment === 0) this.#life.fail(ErrorCode.protocol);
      else if (!sender.credit(undefined, increment)) this.#life.fail(ErrorCode.flowControl);
      return;
    }
    const stream = this.#table.get(id);
    // It may have ended while the credit was on its way.
    if (stream === undefined) return;
    if (increment === 0) this.#outgoing.error(stream, ErrorCode.protocol);
    else if (!sender.credit(stream, increment)) this.#outgoing.error(stream, ErrorCode.flowControl);
  }
}

/** Notes what a request's head says of its stream. */
function describe(stream: Stream, head: Head): void {
  const x = stream.exchange;
  stream.declared = head.contentLength;
  x.isHead = equalBytes(head.method.buffer, head.method.start, head.method.end, HEAD_METHOD);
  const type = head.find(FieldId.contentType);
  x.grpc = type >= 0 && isGrpc(head.valueBuffer[type]!, head.valueStart[type]!, head.valueEnd[type]!);
  const i = head.find(FieldId.isthmusProtocol);
  if (i < 0) return;
  const value = head.valueBuffer[i]!;
  x.opaque = equalsIgnoreCase(value, head.valueStart[i]!, head.valueEnd[i]!, TCP);
  x.http2 = equalsIgnoreCase(value, head.valueStart[i]!, head.valueEnd[i]!, HTTP2);
}
