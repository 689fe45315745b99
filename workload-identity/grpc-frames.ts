import { GrpcError, grpcStatus } from './grpc-error.ts';

/** Bytes before each message: a flag (compressed or not) and the length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/** The largest message that is taken; gRPC's usual default. The longest we know, a bundle or an endpoint set, is far smaller. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** One message with its prefix. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Cuts a byte stream into messages, wherever its chunks are split. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  /** Bytes that must be there before anything more can be read. */
  #needed = PREFIX_BYTES;

  /** Calls back for each whole message. Throws a `GrpcError` on a compressed or an oversized one. */
  push(chunk: Buffer, message: (bytes: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length);
    this.#needed = PREFIX_BYTES;
    while (rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + messageLength(rest);
      if (rest.length < end) {
        this.#needed = end;
        break;
      }
      message(rest.subarray(PREFIX_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
  }

  /** Bytes of a message that has not ended. */
  get pendingBytes(): number {
    return this.#length;
  }
}

function messageLength(frame: Buffer): number {
  if (frame[0] !== 0) {
    throw new GrpcError(grpcStatus.unimplemented, 'the peer sent a compressed message; none was agreed on');
  }
  const length = frame.readUInt32BE(1);
  if (length > MAX_MESSAGE_BYTES) {
    throw new GrpcError(
      grpcStatus.resourceExhausted,
      `the peer sent a message of ${length} bytes; the limit is ${MAX_MESSAGE_BYTES}`,
    );
  }
  return length;
}
