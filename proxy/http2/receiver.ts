import type { TimerWheel } from '../transport/timers.ts';
import { DEFAULT_WINDOW } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import {
  CONNECTION_BUFFER,
  CONNECTION_CREDIT,
  CONNECTION_WINDOW,
  GROWN_STREAM_WINDOW,
  GROWN_WINDOWS,
  MAX_STREAM_WINDOW,
  STREAM_CREDIT,
  STREAM_WINDOW,
} from './limits.ts';
import type { Stream } from './stream.ts';

/**
 * The receiving half of flow control. The connection's window is credited on receipt, so that a stream whose receiver is slow holds up only itself; a stream's
 * when its bytes were consumed. A stream's window begins small and may double with each credit, which comes when half of it, or `STREAM_CREDIT`, was taken:
 * to `GROWN_STREAM_WINDOW`, and beyond only while hardly anything waits for the receiver.
 */
export class Receiver {
  readonly #frames: FrameWriter;
  readonly #timers: TimerWheel;
  readonly #streams: { readonly size: number };
  /** Connection: what the peer may still send, and what has come and is not yet credited. */
  #window = DEFAULT_WINDOW;
  #uncredited = 0;
  #buffered = 0;
  /** Bytes by which the windows of streams under way exceed what they began with. */
  #grown = 0;

  /** `streams`: those under way. */
  constructor(frames: FrameWriter, timers: TimerWheel, streams: { readonly size: number }) {
    this.#frames = frames;
    this.#timers = timers;
    this.#streams = streams;
  }

  /** Bytes received and not yet consumed, of all streams. */
  get buffered(): number {
    return this.#buffered;
  }
  /** More of them than a connection may hold. */
  get overfull(): boolean {
    return this.#buffered > CONNECTION_BUFFER;
  }

  /** Raises the connection's window from its default. */
  start(): void {
    this.#uncredited = CONNECTION_WINDOW - this.#window;
    this.#creditConnection();
  }

  /** Counts n bytes of DATA, padding included, on the connection; false: the peer sent more than its window. */
  arrived(n: number): boolean {
    this.#window -= n;
    if (this.#window < 0) return false;
    this.#uncredited += n;
    if (this.#uncredited >= CONNECTION_CREDIT) this.#creditConnection();
    return true;
  }

  /** Counts a piece of DATA on its stream; false: the peer sent more than its window. `counted`: bytes with padding, of which n are payload. */
  arrivedOn(stream: Stream, n: number, counted: number): boolean {
    stream.receiveWindow -= counted;
    stream.received += n;
    return stream.receiveWindow >= 0;
  }

  /** The payload is handed on: it waits until it is consumed. Padding is consumed by arriving. */
  hold(stream: Stream, n: number, padding: number): void {
    if (stream.unconsumed === 0) stream.progressAt = this.#timers.ticks;
    stream.unconsumed += n;
    this.#buffered += n;
    if (padding > 0) this.#creditStream(stream, padding);
  }

  /** Who takes the stream's bytes has taken n of them. */
  consumed(stream: Stream, n: number): void {
    if (n <= 0) return;
    const counted = Math.min(n, stream.unconsumed);
    stream.unconsumed -= counted;
    this.#buffered -= counted;
    stream.progressAt = this.#timers.ticks;
    this.#creditStream(stream, counted);
  }

  /** Forgets what waits. The stream has ended. */
  discard(stream: Stream): void {
    this.#buffered -= stream.unconsumed;
    stream.unconsumed = 0;
    this.#grown -= stream.window - STREAM_WINDOW;
    stream.window = STREAM_WINDOW;
  }

  #creditConnection(): void {
    this.#frames.windowUpdate(0, this.#uncredited);
    this.#window += this.#uncredited;
    this.#uncredited = 0;
  }

  #creditStream(stream: Stream, n: number): void {
    stream.uncredited += n;
    if (stream.remoteEnded || stream.uncredited < Math.min(stream.window / 2, STREAM_CREDIT)) return;
    this.#grow(stream);
    this.#frames.windowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  #grow(stream: Stream): void {
    const isLarge = stream.window >= GROWN_STREAM_WINDOW;
    // A receiver for whom bytes wait is not quicker for more of them.
    if (isLarge && stream.unconsumed > STREAM_WINDOW) return;
    const limit = isLarge ? MAX_STREAM_WINDOW : GROWN_STREAM_WINDOW;
    const room = isLarge ? GROWN_WINDOWS / 2 : GROWN_WINDOWS;
    const left = room - this.#streams.size * STREAM_WINDOW - this.#grown;
    if (left <= 0) return;
    const more = Math.min(stream.window, limit - stream.window, left);
    stream.window += more;
    stream.uncredited += more;
    this.#grown += more;
  }
}
