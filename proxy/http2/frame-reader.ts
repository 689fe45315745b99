import { FRAME_HEADER_BYTES, Flag, FrameType, LARGEST_FRAME } from './frames.ts';

/** What `next` found: nothing yet; a whole frame; a piece of a DATA frame; a frame larger than we allow. */
export type FrameEvent = 'more' | 'frame' | 'data' | 'too-large';

const EMPTY = Buffer.alloc(0);

/** Cuts bytes into frames. DATA is handed on in the pieces in which it comes; all other frames are small and come whole. */
export class FrameReader {
  /** After 'frame' and 'data'. */
  type = 0;
  flags = 0;
  streamId = 0;
  /** The frame's payload, or the piece of it. */
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;
  /** After 'data': bytes of the frame that are still to come. */
  left = 0;
  /** Where the next call goes on. */
  position = 0;
  #dataLeft = -1;
  /** Not of the runtime's pool, which would stay as long as the connection. */
  readonly #partial = Buffer.alloc(FRAME_HEADER_BYTES);
  #partialFrame: Buffer = EMPTY;
  #collected = 0;

  next(b: Buffer, start: number, end: number): FrameEvent {
    if (this.#dataLeft >= 0) return this.#data(b, start, end);
    if (this.#collected > 0) return this.#collect(b, start, end);
    if (start === end) {
      this.position = end;
      return 'more';
    }
    if (end - start < FRAME_HEADER_BYTES) return this.#keep(b, start, end);
    const length = this.#header(b, start);
    if (length > LARGEST_FRAME) return 'too-large';
    const payload = start + FRAME_HEADER_BYTES;
    if (this.#streams(length)) return this.#data(b, payload, end);
    if (end - payload < length) return this.#keep(b, start, end);
    return this.#whole(b, payload, length, payload + length);
  }

  #header(b: Buffer, at: number): number {
    this.type = b[at + 3]!;
    this.flags = b[at + 4]!;
    this.streamId = ((b[at + 5]! & 127) << 24) | (b[at + 6]! << 16) | (b[at + 7]! << 8) | b[at + 8]!;
    return (b[at]! << 16) | (b[at + 1]! << 8) | b[at + 2]!;
  }

  /** Begins a DATA frame without padding: it is not collected. */
  #streams(length: number): boolean {
    if (this.type !== FrameType.data || (this.flags & Flag.padded) !== 0) return false;
    this.#dataLeft = length;
    return true;
  }

  #data(b: Buffer, start: number, end: number): FrameEvent {
    const n = Math.min(end - start, this.#dataLeft);
    this.position = start + n;
    if (n === 0 && this.#dataLeft > 0) return 'more';
    this.#dataLeft -= n;
    this.left = this.#dataLeft;
    if (this.left === 0) this.#dataLeft = -1;
    this.buffer = b;
    this.start = start;
    this.end = start + n;
    return 'data';
  }

  #whole(b: Buffer, payload: number, length: number, position: number): FrameEvent {
    this.buffer = b;
    this.start = payload;
    this.end = payload + length;
    this.position = position;
    return 'frame';
  }

  /** The frame goes on in a later read. */
  #keep(b: Buffer, start: number, end: number): FrameEvent {
    this.#partialFrame = this.#partial;
    this.position = start;
    this.#collected = 0;
    return this.#collect(b, start, end);
  }

  #collect(b: Buffer, start: number, end: number): FrameEvent {
    let at = start;
    if (this.#collected < FRAME_HEADER_BYTES) {
      at = this.#take(b, at, end, FRAME_HEADER_BYTES);
      if (this.#collected < FRAME_HEADER_BYTES) return this.#wait(at);
    }
    const length = this.#header(this.#partialFrame, 0);
    if (length > LARGEST_FRAME) return 'too-large';
    if (this.#collected === FRAME_HEADER_BYTES && this.#streams(length)) {
      this.#collected = 0;
      return this.#data(b, at, end);
    }
    const need = FRAME_HEADER_BYTES + length;
    if (this.#partialFrame.length < need) {
      const grown = Buffer.allocUnsafe(need);
      this.#partialFrame.copy(grown, 0, 0, this.#collected);
      this.#partialFrame = grown;
    }
    at = this.#take(b, at, end, need);
    if (this.#collected < need) return this.#wait(at);
    this.#collected = 0;
    const frame = this.#partialFrame;
    this.#partialFrame = EMPTY;
    return this.#whole(frame, FRAME_HEADER_BYTES, length, at);
  }

  #take(b: Buffer, at: number, end: number, need: number): number {
    const n = Math.min(need - this.#collected, end - at);
    b.copy(this.#partialFrame, this.#collected, at, at + n);
    this.#collected += n;
    return at + n;
  }

  #wait(position: number): FrameEvent {
    this.position = position;
    return 'more';
  }
}
