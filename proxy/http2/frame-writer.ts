import { copyBytes } from '../bytes/bytes.ts';
import type { Transport } from '../transport/transport.ts';
import { FRAME_HEADER_BYTES, Flag, FrameType } from './frames.ts';
import { MAX_CONCURRENT_STREAMS } from './limits.ts';

/**
 * Streams of a connection that we have reset of late: what their peer had under way then is no error of its. As many as
 * may be given up at once, when who asked for all of them goes.
 */
const REMEMBERED_RESETS = MAX_CONCURRENT_STREAMS;

/** Writes frames into a transport's output. */
export class FrameWriter {
  readonly #transport: Transport;
  /** Their ids; the oldest make room. */
  #resets: number[] | undefined;
  #resetCount = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  settings(values: readonly (readonly [number, number])[]): void {
    const length = values.length * 6;
    const { buffer, offset } = this.#begin(length, FrameType.settings, 0, 0);
    let o = offset;
    for (const [id, value] of values) {
      buffer.writeUInt16BE(id, o);
      buffer.writeUInt32BE(value, o + 2);
      o += 6;
    }
    this.#transport.commit(FRAME_HEADER_BYTES + length);
  }

  settingsAck(): void {
    this.#begin(0, FrameType.settings, Flag.ack, 0);
    this.#transport.commit(FRAME_HEADER_BYTES);
  }

  ping(payload: Buffer, start: number, ack: boolean): void {
    const { buffer, offset } = this.#begin(8, FrameType.ping, ack ? Flag.ack : 0, 0);
    payload.copy(buffer, offset, start, start + 8);
    this.#transport.commit(FRAME_HEADER_BYTES + 8);
  }

  goaway(lastStreamId: number, code: number): void {
    const { buffer, offset } = this.#begin(8, FrameType.goaway, 0, 0);
    buffer.writeUInt32BE(lastStreamId, offset);
    buffer.writeUInt32BE(code, offset + 4);
    this.#transport.commit(FRAME_HEADER_BYTES + 8);
  }

  /** RST_STREAM; the stream counts as reset from now on. */
  reset(streamId: number, code: number): void {
    this.#resets ??= [];
    this.#resets[this.#resetCount++ % REMEMBERED_RESETS] = streamId;
    this.#word(FrameType.reset, streamId, code);
  }

  /** We have reset the stream of late. */
  hasReset(streamId: number): boolean {
    return this.#resets?.includes(streamId) === true;
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#word(FrameType.windowUpdate, streamId, increment);
  }

  /** Returns false when the output is full. */
  data(streamId: number, b: Buffer, start: number, end: number, endStream: boolean): boolean {
    const n = end - start;
    const { buffer, offset } = this.#begin(n, FrameType.data, endStream ? Flag.endStream : 0, streamId);
    copyBytes(b, start, end, buffer, offset);
    return this.#transport.commit(FRAME_HEADER_BYTES + n);
  }

  /** Room of n bytes for a header block that fits into one frame: `headersDone` must follow. */
  headersRoom(n: number): { buffer: Buffer; offset: number } {
    const room = this.#transport.reserve(FRAME_HEADER_BYTES + n);
    room.offset += FRAME_HEADER_BYTES;
    return room;
  }

  /** The block stands in the room, `length` bytes of it. */
  headersDone(streamId: number, length: number, endStream: boolean): void {
    const flags = endStream ? Flag.endHeaders | Flag.endStream : Flag.endHeaders;
    this.#begin(length, FrameType.headers, flags, streamId);
    this.#transport.commit(FRAME_HEADER_BYTES + length);
  }

  /** A header block that is longer than the peer's frames: what does not fit follows in CONTINUATION frames. */
  longHeaders(
    streamId: number,
    block: Buffer,
    length: number,
    endStream: boolean,
    maxFrameSize: number,
  ): void {
    let at = 0;
    let type: number = FrameType.headers;
    let flags: number = endStream ? Flag.endStream : 0;
    do {
      const n = Math.min(length - at, maxFrameSize);
      if (at + n === length) flags |= Flag.endHeaders;
      const { buffer, offset } = this.#begin(n, type, flags, streamId);
      block.copy(buffer, offset, at, at + n);
      this.#transport.commit(FRAME_HEADER_BYTES + n);
      at += n;
      type = FrameType.continuation;
      flags = 0;
    } while (at < length);
  }

  #word(type: number, streamId: number, value: number): void {
    const { buffer, offset } = this.#begin(4, type, 0, streamId);
    buffer.writeUInt32BE(value, offset);
    this.#transport.commit(FRAME_HEADER_BYTES + 4);
  }

  /** Writes the frame's header; the payload goes to `offset` of the result. */
  #begin(length: number, type: number, flags: number, streamId: number): { buffer: Buffer; offset: number } {
    const room = this.#transport.reserve(FRAME_HEADER_BYTES + length);
    const b = room.buffer;
    let o = room.offset;
    b[o++] = length >>> 16;
    b[o++] = length >>> 8;
    b[o++] = length;
    b[o++] = type;
    b[o++] = flags;
    b[o++] = streamId >>> 24;
    b[o++] = streamId >>> 16;
    b[o++] = streamId >>> 8;
    b[o++] = streamId;
    room.offset = o;
    return room;
  }
}
