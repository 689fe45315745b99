import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { BaseTransport } from './base.ts';
import { recycle } from './buffers.ts';
import { streamBindings } from './stream-bindings.ts';
import type { StreamBindings, StreamHandle, WriteRequest } from './stream-bindings.ts';
import { beginCallback, endCallback } from './turn.ts';
import type { Transport, Wrap } from './transport.ts';

/** One read buffer for all connections: reads are delivered synchronously, one at a time. As large as libuv reads at once. */
const READ_BUFFER_BYTES = 64 * 1024;
let readBuffer: Buffer | undefined;

/** libuv's code for an orderly end of the stream. */
const UV_EOF = -4095;

/** Drives the socket's handle without the stream layer above it: no copy, no event and no object per read, one request object per outstanding write. */
class HandleTransport extends BaseTransport {
  readonly #handle: StreamHandle;
  readonly #bindings: StreamBindings;
  readonly #read: Buffer;
  #spare: WriteRequest | undefined = undefined;
  #writing: Buffer | undefined = undefined;
  /** One for all writes: there is one at a time. */
  readonly #onComplete = (status: number): void => this.#completed(status);
  #paused = false;

  constructor(socket: Socket, handle: StreamHandle, bindings: StreamBindings) {
    super(socket, socket instanceof TLSSocket);
    this.#handle = handle;
    this.#bindings = bindings;
    this.#read = readBuffer ??= Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    this.#takeOver();
  }

  #takeOver(): void {
    // Once per handle: every call adds another native listener.
    this.#handle.useUserBuffer(this.#read);
    // Anything returned from onread would become the next read buffer, so it returns nothing.
    this.#handle.onread = (): void => this.#onRead();
    const early: unknown = this.socket.read();
    this.deferUntilHandlerSet(early instanceof Buffer ? early : undefined);
    // The stream layer may have met the end already, without having told it.
    if (this.socket.readableEnded) this.receivedEnd();
    else this.socket.once('end', () => this.receivedEnd());
    this.#handle.readStart();
  }

  #onRead(): void {
    const n = this.#bindings.state[this.#bindings.readBytesOrError] ?? 0;
    beginCallback();
    if (n > 0) {
      this.received(this.#read, 0, n);
    } else if (n === UV_EOF) {
      this.receivedEnd();
    } else if (n < 0) {
      this.noteError(this.#bindings.errorName(n));
      this.destroy();
    }
    endCallback();
  }

  protected override send(buffer: Buffer, length: number): void {
    const request = this.#spare ?? new this.#bindings.WriteWrap();
    this.#spare = undefined;
    const error = this.#handle.writeBuffer(request, buffer.subarray(0, length));
    if (error !== 0) {
      this.noteError(this.#bindings.errorName(error));
      this.destroy();
      return;
    }
    if (this.#bindings.state[this.#bindings.lastWriteWasAsync] === 0) {
      // Taken at once: the request object was not used.
      this.#spare = request;
      recycle(buffer);
      return;
    }
    // TCP keeps pointing at our memory until it completes.
    this.#writing = buffer;
    this.inFlight = length;
    request.oncomplete = this.#onComplete;
  }

  protected override get unsent(): number {
    return Math.min(this.inFlight, this.#handle.writeQueueSize ?? this.inFlight);
  }

  #completed(status: number): void {
    const length = this.inFlight;
    const buffer = this.#writing;
    this.#writing = undefined;
    if (buffer !== undefined) recycle(buffer);
    beginCallback();
    if (status < 0) {
      this.noteError(this.#bindings.errorName(status));
      this.destroy();
    }
    this.written(length);
    endCallback();
  }

  override pause(): void {
    if (this.#paused || this.dead) return;
    this.#paused = true;
    this.#handle.readStop();
  }

  override resume(): void {
    if (!this.#paused || this.dead) return;
    this.#paused = false;
    this.#handle.readStart();
  }
}

/** A maker of transports on socket handles; undefined when this runtime does not have what it needs. */
export function handleWrap(fallback: Wrap): Wrap | undefined {
  const bindings = streamBindings();
  if (bindings === undefined) return undefined;
  return (socket: Socket): Transport => {
    const handle = bindings.handleOf(socket);
    // A socket that died between its event and this call has no handle: the fallback reports its close.
    return handle === undefined ? fallback(socket) : new HandleTransport(socket, handle, bindings);
  };
}
