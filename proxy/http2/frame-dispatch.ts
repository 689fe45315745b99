import type { TimerWheel } from '../transport/timers.ts';
import { FloodGuard } from './flood-guard.ts';
import { ErrorCode, Flag, FrameType, MAX_WINDOW, PREFACE } from './frames.ts';
import { FrameReader } from './frame-reader.ts';
import { HeaderBlock } from './header-block.ts';
import type { Life } from './life.ts';
import { CONTROLS_PER_SECOND, CONTROL_BURST, PINGS_PER_SECOND, PING_BURST } from './limits.ts';
import type { StreamTable } from './stream-table.ts';

/** What the frames of a peer say, after their own rules were checked. */
export interface FrameHandler {
  /**
   * A piece of a DATA frame. `counted`: bytes by which it counts against the windows, padding included. `left`: bytes of the frame that are still to come.
   * `endStream`: the frame ends the stream, with its last byte.
   */
  data(
    id: number,
    b: Buffer,
    start: number,
    end: number,
    counted: number,
    left: number,
    endStream: boolean,
  ): void;
  /** A whole header block. */
  headers(id: number, endStream: boolean, b: Buffer, start: number, end: number): void;
  streamReset(id: number, code: number): void;
  /** One SETTINGS frame: six bytes a setting. */
  settings(b: Buffer, start: number, end: number): void;
  /** All of a SETTINGS frame has been applied. `first`: it is the peer's first. */
  settingsDone(first: boolean): void;
  goaway(lastStreamId: number): void;
  /** `id` 0: the connection's window. */
  windowUpdate(id: number, increment: number): void;
  ping(b: Buffer, start: number, ack: boolean): void;
}

/** Reads the peer's bytes as frames, holds each to the rules of RFC 9113 sections 4 and 6 that concern it alone, and hands on what it says. */
export class FrameDispatch {
  readonly #life: Life;
  readonly #table: StreamTable;
  readonly #timers: TimerWheel;
  readonly #handler: FrameHandler;
  readonly #reader = new FrameReader();
  readonly #block = new HeaderBlock();
  readonly #pings: FloodGuard;
  readonly #controls: FloodGuard;
  /** Bytes of the client's preface that have come. */
  #preface: number;
  #settingsCame = false;

  constructor(server: boolean, life: Life, table: StreamTable, timers: TimerWheel, handler: FrameHandler) {
    this.#life = life;
    this.#table = table;
    this.#timers = timers;
    this.#handler = handler;
    this.#pings = new FloodGuard(PING_BURST, PINGS_PER_SECOND, timers.now());
    this.#controls = new FloodGuard(CONTROL_BURST, CONTROLS_PER_SECOND, timers.now());
    this.#preface = server ? 0 : PREFACE.length;
  }

  read(buffer: Buffer, start: number, end: number): void {
    const life = this.#life;
    life.heard();
    let i = this.#preface < PREFACE.length ? this.#readPreface(buffer, start, end) : start;
    const reader = this.#reader;
    while (life.alive) {
      const event = reader.next(buffer, i, end);
      i = reader.position;
      if (event === 'more') break;
      if (event === 'data') this.#data(reader.start, reader.end, reader.end - reader.start);
      else if (event === 'frame') this.#frame();
      else life.fail(ErrorCode.frameSize);
    }
  }

  #readPreface(buffer: Buffer, start: number, end: number): number {
    let i = start;
    while (i < end && this.#preface < PREFACE.length) {
      if (buffer[i++] !== PREFACE[this.#preface++]) {
        // Not HTTP/2: a GOAWAY would mean nothing to it.
        this.#life.destroy();
        return end;
      }
    }
    return i;
  }

  #frame(): void {
    const { type, streamId, start, end } = this.#reader;
    if (!this.#settingsCame && type !== FrameType.settings) return this.#life.fail(ErrorCode.protocol);
    const block = this.#block.streamId;
    if (block !== 0 && (type !== FrameType.continuation || streamId !== block))
      return this.#life.fail(ErrorCode.protocol);
    switch (type) {
      case FrameType.data:
        return this.#paddedData();
      case FrameType.headers:
        return this.#headers();
      case FrameType.continuation:
        return this.#continuation();
      case FrameType.reset:
        return this.#reset();
      case FrameType.settings:
        return this.#settings();
      case FrameType.ping:
        return this.#ping();
      case FrameType.goaway:
        return this.#goaway();
      case FrameType.windowUpdate:
        return this.#windowUpdate();
      case FrameType.pushPromise:
        return this.#life.fail(ErrorCode.protocol);
      case FrameType.priority:
        if (streamId === 0) this.#life.fail(ErrorCode.protocol);
        else if (end - start !== 5) this.#life.fail(ErrorCode.frameSize);
        else this.#control();
        return undefined;
      default:
        // Unknown frames are ignored (RFC 9113 section 4.1), but not for ever.
        this.#control();
    }
  }

  /** Counts a frame that costs work and brings nothing; false: there were too many. */
  #control(guard = this.#controls): boolean {
    if (guard.allow(this.#timers.now())) return true;
    this.#life.fail(ErrorCode.enhanceYourCalm);
    return false;
  }

  #paddedData(): void {
    const { buffer, start, end } = this.#reader;
    const padding = end > start ? buffer[start]! : 0;
    if (end === start || padding >= end - start) return this.#life.fail(ErrorCode.protocol);
    this.#reader.left = 0;
    this.#data(start + 1, end - padding, end - start);
  }

  #data(start: number, end: number, counted: number): void {
    const { buffer, flags, left, streamId } = this.#reader;
    if (!this.#settingsCame || this.#block.streamId !== 0 || this.#table.isIdle(streamId) || streamId === 0)
      return this.#life.fail(ErrorCode.protocol);
    const endStream = (flags & Flag.endStream) !== 0;
    if (counted === 0 && !endStream && !this.#control()) return;
    this.#handler.data(streamId, buffer, start, end, counted, left, endStream);
  }

  #headers(): void {
    const { buffer, flags, streamId } = this.#reader;
    let { start, end } = this.#reader;
    if ((streamId & 1) === 0) return this.#life.fail(ErrorCode.protocol);
    if ((flags & Flag.padded) !== 0) end -= buffer[start++] ?? 0;
    if ((flags & Flag.priority) !== 0) start += 5;
    if (start > end) return this.#life.fail(ErrorCode.protocol);
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0)
      return this.#handler.headers(streamId, endStream, buffer, start, end);
    this.#block.begin(streamId, endStream);
    this.#collect(buffer, start, end);
  }

  #continuation(): void {
    const block = this.#block;
    const { buffer, start, end, flags } = this.#reader;
    const id = block.streamId;
    if (id === 0) return this.#life.fail(ErrorCode.protocol);
    if (!this.#collect(buffer, start, end) || (flags & Flag.endHeaders) === 0) return;
    const whole = block.take();
    this.#handler.headers(id, block.endStream, whole, 0, whole.length);
  }

  #collect(buffer: Buffer, start: number, end: number): boolean {
    if (start === end && !this.#control()) return false;
    if (this.#block.add(buffer, start, end)) return true;
    this.#life.fail(ErrorCode.enhanceYourCalm);
    return false;
  }

  #reset(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (end - start !== 4) return this.#life.fail(ErrorCode.frameSize);
    if (streamId === 0 || this.#table.isIdle(streamId)) return this.#life.fail(ErrorCode.protocol);
    this.#handler.streamReset(streamId, buffer.readUInt32BE(start));
  }

  #settings(): void {
    const { buffer, start, end, flags, streamId } = this.#reader;
    const length = end - start;
    const ack = (flags & Flag.ack) !== 0;
    if (streamId !== 0) return this.#life.fail(ErrorCode.protocol);
    if (ack ? length !== 0 : length % 6 !== 0) return this.#life.fail(ErrorCode.frameSize);
    const first = !this.#settingsCame;
    if (ack) {
      if (first) this.#life.fail(ErrorCode.protocol);
      return;
    }
    if (!first && !this.#control()) return;
    this.#settingsCame = true;
    this.#handler.settings(buffer, start, end);
    if (this.#life.alive) this.#handler.settingsDone(first);
  }

  #ping(): void {
    const { buffer, start, end, flags, streamId } = this.#reader;
    if (streamId !== 0) return this.#life.fail(ErrorCode.protocol);
    if (end - start !== 8) return this.#life.fail(ErrorCode.frameSize);
    const ack = (flags & Flag.ack) !== 0;
    if (ack || this.#control(this.#pings)) this.#handler.ping(buffer, start, ack);
  }

  #goaway(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (streamId !== 0) return this.#life.fail(ErrorCode.protocol);
    if (end - start < 8) return this.#life.fail(ErrorCode.frameSize);
    this.#handler.goaway(buffer.readUInt32BE(start) & MAX_WINDOW);
  }

  #windowUpdate(): void {
    const { buffer, start, end, streamId } = this.#reader;
    if (end - start !== 4) return this.#life.fail(ErrorCode.frameSize);
    if (this.#table.isIdle(streamId)) return this.#life.fail(ErrorCode.protocol);
    this.#handler.windowUpdate(streamId, buffer.readUInt32BE(start) & MAX_WINDOW);
  }
}
