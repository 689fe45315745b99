import { copyHead } from '../message/copy-head.ts';
import type { Head } from '../message/head.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import { Backlog, NO_BACKLOG } from './backlog.ts';
import { DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, LARGEST_FRAME, MAX_WINDOW } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import { CRUMB_MS, LEAST_PART } from './limits.ts';
import type { Stream } from './stream.ts';

/** What the sender tells the connection. */
export interface SenderEvents {
  /** n bytes of the stream have gone into the output: its source may send that many more. */
  sent(stream: Stream, n: number): void;
  /** The stream's END_STREAM has been written. */
  sentEnd(stream: Stream): void;
  writeTrailers(stream: Stream, trailers: Head): void;
}

/**
 * Peers whose windows begin below this live in small ones, and get what they ask for. From there on more is under way
 * than a crumb is short of: more credit comes.
 */
const SMALL_WINDOW = 4 * LEAST_PART;

/**
 * The sending half of flow control: what fits goes out at once, the rest waits and goes out in turns, a frame a stream.
 * What is left of a window and is not worth a frame, a crumb, waits for more of it.
 */
export class Sender {
  readonly #frames: FrameWriter;
  readonly #events: SenderEvents;
  readonly #timers: TimerWheel;
  /** Streams with a queue and a window of their own, who waits longest first. Those without window come back with their WINDOW_UPDATE. */
  readonly #waiting = new Set<Stream>();
  #window = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #maxFrameSize = DEFAULT_FRAME_SIZE;
  #outputFull = false;
  #draining = false;
  /** Streams that have a window, but a crumb. Made when there is one: between proxies windows do not run out. */
  #held: Set<Stream> | undefined = undefined;
  #crumbTimer: Timer | undefined = undefined;
  /** Crumbs go out, too. */
  #crumbs = false;

  constructor(frames: FrameWriter, timers: TimerWheel, events: SenderEvents) {
    this.#frames = frames;
    this.#timers = timers;
    this.#events = events;
  }

  get initialWindow(): number {
    return this.#initialWindow;
  }
  get maxFrameSize(): number {
    return this.#maxFrameSize;
  }

  setMaxFrameSize(size: number): void {
    this.#maxFrameSize = Math.min(size, LARGEST_FRAME);
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE; false: a window would overflow. */
  setInitialWindow(size: number, streams: Iterable<Stream>): boolean {
    const change = size - this.#initialWindow;
    this.#initialWindow = size;
    for (const stream of streams) {
      stream.sendWindow += change;
      if (stream.sendWindow > MAX_WINDOW) return false;
      if (!stream.queue.empty) this.#waiting.add(stream);
    }
    this.drain();
    return true;
  }

  /** WINDOW_UPDATE of the connection (`stream` undefined) or of a stream; false: the window would overflow. */
  credit(stream: Stream | undefined, n: number): boolean {
    if (stream === undefined) {
      this.#window += n;
      if (this.#window > MAX_WINDOW) return false;
      if (this.#window >= LEAST_PART) this.#takeUp();
    } else {
      stream.sendWindow += n;
      if (stream.sendWindow > MAX_WINDOW) return false;
      this.#held?.delete(stream);
      if (!stream.queue.empty) this.#waiting.add(stream);
    }
    if (this.#waiting.size > 0) this.drain();
    return true;
  }

  /** The transport's output has room again. */
  outputDrained(): void {
    this.#outputFull = false;
    this.drain();
  }

  data(stream: Stream, b: Buffer, start: number, end: number, last: boolean): void {
    if (!stream.queue.empty || stream.queuedEnd) {
      this.#enqueue(stream, b, start, end, last);
      return;
    }
    let at = start;
    while (at < end) {
      const n = this.#allowance(stream, end - at);
      if (n === 0) break;
      this.#write(stream, b, at, at + n, last && at + n === end);
      at += n;
    }
    if (at < end) this.#enqueue(stream, b, at, end, last);
    else if (start === end && last) this.#write(stream, b, start, end, true);
    if (at > start) this.#events.sent(stream, at - start);
  }

  trailers(stream: Stream, trailers: Head): void {
    if (stream.queue.empty) {
      this.#events.writeTrailers(stream, trailers);
      return;
    }
    stream.queuedTrailers = copyHead(trailers);
    stream.queuedEnd = true;
  }

  /** Forgets what waits. */
  discard(stream: Stream): void {
    if (stream.queue.empty) return;
    this.#waiting.delete(stream);
    this.#held?.delete(stream);
    stream.queue.clear();
  }

  /** Sends what now fits, a frame a stream in turn. */
  drain(): void {
    // What is told to sources can make them send more: they queue, and this loop takes it.
    if (this.#draining) return;
    this.#draining = true;
    while (this.#window > 0 && !this.#outputFull) {
      const [stream] = this.#waiting;
      if (stream === undefined) break;
      this.#waiting.delete(stream);
      const moved = this.#drainOne(stream);
      if (stream.queue.empty || stream.sendWindow <= 0 || stream.closed) continue;
      if (moved) this.#waiting.add(stream);
      else (this.#held ??= new Set()).add(stream);
    }
    this.#draining = false;
  }

  /** Sends one frame of a stream's queue; false: nothing may be sent. */
  #drainOne(stream: Stream): boolean {
    const { queue } = stream;
    if (queue.empty) return false;
    const { buffer, start } = queue;
    const n = this.#allowance(stream, queue.end - start);
    if (n === 0) return false;
    const done = stream.queuedEnd && queue.pieces === 1 && n === queue.end - start;
    const trailers = done ? stream.queuedTrailers : undefined;
    const last = done && trailers === undefined;
    this.#writeFrame(stream, buffer, start, start + n, last);
    // Before the end is told: that gives the queue's buffers back.
    queue.drop(n);
    if (last) this.#events.sentEnd(stream);
    else if (trailers !== undefined) this.#events.writeTrailers(stream, trailers);
    this.#events.sent(stream, n);
    return true;
  }

  /** How many of n bytes may be sent as a frame now. */
  #allowance(stream: Stream, n: number): number {
    if (this.#outputFull) return 0;
    const wanted = Math.min(n, this.#maxFrameSize);
    const window = Math.min(stream.sendWindow, this.#window);
    if (window >= wanted) return wanted;
    if (window >= LEAST_PART || this.#crumbs || this.#initialWindow < SMALL_WINDOW)
      return Math.max(0, window);
    if (window > 0) this.#awaitCredit();
    return 0;
  }

  #awaitCredit(): void {
    const timer = (this.#crumbTimer ??= new Timer(() => this.#sendCrumbs()));
    if (!timer.armed) this.#timers.arm(timer, CRUMB_MS);
  }

  #sendCrumbs(): void {
    this.#crumbs = true;
    this.#takeUp();
    this.drain();
    this.#crumbs = false;
  }

  /** Streams with a crumb wait as all others do. */
  #takeUp(): void {
    if (this.#held === undefined) return;
    for (const stream of this.#held) this.#waiting.add(stream);
    this.#held.clear();
  }

  #write(stream: Stream, b: Buffer, start: number, end: number, last: boolean): void {
    this.#writeFrame(stream, b, start, end, last);
    if (last) this.#events.sentEnd(stream);
  }

  #writeFrame(stream: Stream, b: Buffer, start: number, end: number, last: boolean): void {
    const n = end - start;
    stream.sendWindow -= n;
    this.#window -= n;
    stream.progressAt = this.#timers.ticks;
    if (!this.#frames.data(stream.id, b, start, end, last)) this.#outputFull = true;
  }

  #enqueue(stream: Stream, b: Buffer, start: number, end: number, last: boolean): void {
    if (stream.queue.empty) stream.progressAt = this.#timers.ticks;
    if (end > start) {
      if (stream.queue === NO_BACKLOG) stream.queue = new Backlog();
      stream.queue.add(b, start, end);
    }
    if (last) stream.queuedEnd = true;
    if (!stream.queue.empty) this.#waiting.add(stream);
  }
}
