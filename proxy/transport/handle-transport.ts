import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { BaseTransport } from './base.ts';
import { recycle } from './buffers.ts';
import { freeBulkRead, RECORD_BYTES, takeBulkRead } from './bulk-read.ts';
import type { BulkRead } from './bulk-read.ts';
import { SocketCarrier, type Carrier } from './carrier.ts';
import { SmallRead } from './small-reads.ts';
import { errorName, streamBindings } from './stream-bindings.ts';
import type { StreamBindings, StreamHandle, WriteRequest } from './stream-bindings.ts';
import { tcpBindings } from './tcp-bindings.ts';
import { TcpConnection, type Connection } from './tcp-connection.ts';
import { beginCallback, deliverLate, endCallback, isCrowded } from './turn.ts';
import type { Transport, Wrap } from './transport.ts';

/** One read buffer for all connections: reads are delivered synchronously, one at a time. As large as libuv reads at once. */
const READ_BUFFER_BYTES = 64 * 1024;
/** Bytes that are read at once where the other side has not taken all of the last read: what it does not take is held for it. */
const CAREFUL_READ_BYTES = 16 * 1024;
/**
 * The request object of a write that the kernel took at once, which does not need it: for the next write of whichever
 * connection without TLS, so that it is in the processor's cache.
 */
let spareRequest: WriteRequest | undefined;
/** A request whose write is under way has been seen to say so. Until then its silence says nothing: two writes by one request abort the process. */
let requestsTell = false;
let readBuffers: { readonly whole: Buffer; readonly careful: Buffer } | undefined;

/** libuv's code for an orderly end of the stream. */
const UV_EOF = -4095;

/**
 * Drives a connection's handle, without the stream layer that a socket has above it: no copy, no event and no object
 * per read, one request object per outstanding write.
 */
class HandleTransport extends BaseTransport {
  readonly #handle: StreamHandle;
  readonly #bindings: StreamBindings;
  /** Where a plain connection's next read goes; a TLS record's, when none is held. */
  #read: Buffer;
  /** While many records come one behind the other. */
  #bulk: BulkRead | undefined = undefined;
  /** A plain connection's, in a turn of many reads. */
  readonly #small = new SmallRead();
  /** It is noted for the end of the turn. */
  #late = false;
  #writing: Buffer | undefined = undefined;
  /**
   * Of the last write into TLS, when the kernel has taken it: for the next one. The runtime would tell of its end in a
   * callback, which in a turn with one request is a twentieth of the work; who has to know asks.
   */
  #untold: WriteRequest | undefined = undefined;
  /** One for all writes, since there is one at a time: from the first that the kernel does not take at once. */
  #onComplete: ((status: number) => void) | undefined = undefined;
  #paused = false;
  /** The handle does not read. */
  #stopped = false;
  /** In the callback of a read: who pauses in it may well resume before its end, which then has cost nothing. */
  #reading = false;

  constructor(carrier: Carrier, encrypted: boolean, handle: StreamHandle, bindings: StreamBindings) {
    super(carrier, encrypted);
    this.#handle = handle;
    this.#bindings = bindings;
    this.#read = buffers().whole;
    // Once per handle: every call adds another native listener.
    handle.useUserBuffer(this.#read);
    // What onread returns becomes the next read buffer; nothing: it stays.
    handle.onread = (): Buffer | undefined => this.#onRead();
  }

  start(): void {
    this.#handle.readStart();
  }

  /** What the stream layer has read before, or met. */
  inherit(socket: Socket): void {
    const early: unknown = socket.read();
    this.deferUntilHandlerSet(early instanceof Buffer ? early : undefined);
    // It may have met the end already, without having told it.
    if (socket.readableEnded) this.receivedEnd();
    else socket.once('end', () => this.receivedEnd());
  }

  #onRead(): Buffer | undefined {
    const n = this.#bindings.state[this.#bindings.readBytesOrError] ?? 0;
    if (n === RECORD_BYTES && this.#bulk?.keep() === true) {
      this.#deliverLater();
      return this.#bulk.next;
    }
    if (n > 0 && this.#holds(n)) return undefined;
    beginCallback();
    this.#reading = true;
    try {
      if (n > 0) {
        if (this.#small.held) this.deliver();
        return this.encrypted ? this.#recordArrived(n) : this.#arrived(n);
      }
      this.#noneArrived(n);
      return undefined;
    } finally {
      this.#readOver();
    }
  }

  /** The end of the stream, an error, or nothing yet (0). */
  #noneArrived(n: number): void {
    this.deliver();
    if (n === UV_EOF && this.errorCode === '') {
      this.receivedEnd();
    } else if (n < 0) {
      this.noteError(errorName(n));
      this.destroy();
    }
  }

  #readOver(): void {
    try {
      endCallback();
    } finally {
      this.#reading = false;
      this.#startOrStop();
    }
  }

  /** n bytes wait for the end of the turn, as what else is read in it does. */
  #holds(n: number): boolean {
    if (this.encrypted || !isCrowded() || this.#small.held || !this.#small.hold(this.#read, n)) return false;
    this.#deliverLater();
    return true;
  }

  /** n bytes without TLS. @returns where the next read goes, when that changes */
  #arrived(n: number): Buffer | undefined {
    const read = this.#read;
    this.received(read, 0, n);
    const { whole, careful } = buffers();
    if (this.#paused) this.#read = careful;
    else if (n === read.length) this.#read = whole;
    return this.#read === read ? undefined : this.#read;
  }

  /** n bytes end what was held, if anything was. @returns where the next read goes, when that changes */
  #recordArrived(n: number): Buffer | undefined {
    const bulk = this.#bulk;
    if (bulk === undefined) {
      this.received(this.#read, 0, n);
      if (n < RECORD_BYTES) return undefined;
      this.#bulk = takeBulkRead();
      return this.#bulk.next;
    }
    const { buffer, start } = bulk;
    const end = bulk.end + n;
    // After a fault the runtime, which is told of no other place, reads to the same as before.
    bulk.handedOn();
    this.received(buffer, start, end);
    bulk.restart();
    if (end - start >= RECORD_BYTES) return bulk.next;
    this.#bulk = undefined;
    freeBulkRead(bulk);
    return this.#read;
  }

  #deliverLater(): void {
    if (this.#late) return;
    this.#late = true;
    deliverLate(this);
  }

  /** Hands on what is held. */
  deliver(): void {
    this.#late = false;
    const small = this.#small;
    if (small.buffer !== undefined) {
      const { buffer } = small;
      small.forget();
      return this.received(buffer, small.start, small.end);
    }
    const bulk = this.#bulk;
    if (bulk === undefined) return;
    const { buffer, start, end } = bulk;
    bulk.handedOn();
    if (end > start) this.received(buffer, start, end);
  }

  protected override send(buffer: Buffer, length: number): void {
    const request = this.#takeRequest();
    const error = this.#handle.writeBuffer(request, buffer.subarray(0, length));
    if (error !== 0) {
      this.noteError(errorName(error));
      this.destroy();
      return;
    }
    if (this.#bindings.state[this.#bindings.lastWriteWasAsync] === 0) {
      // Taken at once: the request object was not used.
      spareRequest = request;
      recycle(buffer);
      return;
    }
    if (this.encrypted) {
      // It has been encrypted into memory of the runtime's: the next one to write finds ours in the cache.
      recycle(buffer);
      this.inFlight = length;
      const underWay = request.getAsyncId() >= 0;
      requestsTell ||= underWay;
      // One that goes well is never over before the turn is.
      if (requestsTell && !underWay) return this.#broke();
      this.inFlightTaken = this.#handle._parent?.writeQueueSize === 0;
      if (this.inFlightTaken && requestsTell) {
        this.#untold = request;
        return;
      }
    } else {
      this.inFlight = length;
      // TCP keeps pointing at our memory until it completes.
      this.#writing = buffer;
    }
    this.#tellOf(request);
  }

  /**
   * The runtime tells nobody of such a write's end, and has taken the socket's error with it. What has come before the
   * break is still read; the end behind it is no orderly one.
   */
  #broke(): void {
    this.noteError('ECONNRESET');
    if (this.#paused) this.destroy();
  }

  #takeRequest(): WriteRequest {
    const request = this.encrypted ? this.#untold : spareRequest;
    if (this.encrypted) this.#untold = undefined;
    else spareRequest = undefined;
    return request ?? new this.#bindings.WriteWrap();
  }

  #tellOf(request: WriteRequest): void {
    request.oncomplete = this.#onComplete ?? this.#makeOnComplete();
  }

  protected override stillWriting(): boolean {
    const request = this.#untold;
    if (request === undefined) return true;
    if (request.getAsyncId() >= 0) {
      this.#untold = undefined;
      this.#tellOf(request);
      return true;
    }
    this.inFlight = 0;
    this.inFlightTaken = false;
    return false;
  }

  /** A method of its own: what a closure holds is allocated by each call of the function that it stands in, which here would be each write. */
  #makeOnComplete(): (status: number) => void {
    this.#onComplete = (status) => this.#completed(status);
    return this.#onComplete;
  }

  protected override get unsent(): number {
    const left = super.unsent;
    const { writeQueueSize } = this.encrypted ? (this.#handle._parent ?? this.#handle) : this.#handle;
    return Math.min(left, writeQueueSize ?? left);
  }

  #completed(status: number): void {
    const length = this.inFlight;
    const buffer = this.#writing;
    this.#writing = undefined;
    if (buffer !== undefined) recycle(buffer);
    beginCallback();
    try {
      // What is under way when we close, fails by that.
      if (status < 0 && !this.dead) {
        this.noteError(errorName(status));
        this.destroy();
      }
      this.written(length);
    } finally {
      endCallback();
    }
  }

  override pause(): void {
    this.#paused = true;
    this.#startOrStop();
  }

  override resume(): void {
    this.#paused = false;
    this.#startOrStop();
  }

  #startOrStop(): void {
    if (this.#reading || this.#paused === this.#stopped || this.dead) return;
    this.#stopped = this.#paused;
    if (this.#stopped) this.#handle.readStop();
    else this.#handle.readStart();
  }
}

function buffers(): { readonly whole: Buffer; readonly careful: Buffer } {
  if (readBuffers === undefined) {
    const whole = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    readBuffers = { whole, careful: whole.subarray(0, CAREFUL_READ_BYTES) };
  }
  return readBuffers;
}

/** A maker of transports on handles; undefined when this runtime does not have what it needs. */
export function handleWrap(fallback: Wrap): Wrap | undefined {
  const bindings = streamBindings();
  const tcp = tcpBindings();
  if (bindings === undefined || tcp === undefined) return undefined;
  const wrap = (connection: Connection): Transport => {
    if (connection instanceof TcpConnection) {
      const transport = new HandleTransport(connection, false, connection.handle, bindings);
      transport.start();
      return transport;
    }
    const handle = bindings.handleOf(connection);
    // A socket that died between its event and this call has no handle: the fallback reports its close.
    return handle === undefined ? fallback(connection) : onSocket(connection, handle, bindings);
  };
  return Object.assign(wrap, { tcp });
}

function onSocket(socket: Socket, handle: StreamHandle, bindings: StreamBindings): Transport {
  const encrypted = socket instanceof TLSSocket;
  const transport = new HandleTransport(new SocketCarrier(socket, encrypted), encrypted, handle, bindings);
  transport.inherit(socket);
  transport.start();
  return transport;
}
