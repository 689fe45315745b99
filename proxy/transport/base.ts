import type { Carrier, CarrierOwner } from './carrier.ts';
import { Output } from './output.ts';
import type { Transport, TransportHandler, TransportWatcher } from './transport.ts';
import { beginCallback, endCallback, flushEager, flushLate } from './turn.ts';

/**
 * Pending bytes above which writers are told to stop. Bounds the memory of a connection whose peer does not read: one
 * of an app or a client, of which there are hundreds.
 */
export const HIGH_WATER = 64 * 1024;
/**
 * The same for a connection of many streams: between proxies there are few, and a batch of all is large. Twice as much
 * costs a third more CPU at 1 MB, since it no longer stays in the processor's cache; a quarter less cuts the batches of
 * many answers of 10 KB in two, and costs there.
 */
export const SHARED_HIGH_WATER = 256 * 1024;
/** The share of it below which they may go on: low enough to give a whole batch its room, high enough that the kernel's buffer never runs dry. */
const LOW_SHARE = 1 / 4;

/**
 * Pending bytes from which output waits for the end of the turn. Well below the payload of a TLS record (16 KiB less
 * the frame header in it), since a large read comes in records, a callback each. Smaller output is an answer that
 * somebody waits for.
 */
const BULK = 4 * 1024;

/** A handler's `onData`, to be called on the handler. */
type OnData = (this: TransportHandler, buffer: Buffer, start: number, end: number) => void;

/** Stands in until the owner has set its handler. */
const NO_HANDLER: TransportHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/**
 * What both makers of a transport share: output, marks, the life of the connection. They differ in how bytes are read and how a buffer is given to the kernel.
 */
export abstract class BaseTransport implements Transport, CarrierOwner {
  // The order is that in memory: what each read and write asks for stands together, since of many connections little is in the processor's cache.
  protected readonly output = new Output();
  protected dead = false;
  scheduled = false;
  eager = true;
  readonly encrypted: boolean;
  /** Bytes of the write under way: given to the socket, which is not known to be done with them. */
  protected inFlight = 0;
  /** The kernel has taken them all the same: TLS tells it only at the end of the turn. */
  protected inFlightTaken = false;
  /** Bytes of all writes. */
  #written = 0;
  #ending = false;
  #early: Buffer[] | undefined = undefined;
  #handler = NO_HANDLER;
  /**
   * Of the handler: looked for once a connection. There are so many kinds of them that the runtime would look anew at
   * each read, in a table that no cache of the processor holds. Not bound: that would be one more object a connection
   * to be fetched from memory.
   */
  #onData = onDataOf(NO_HANDLER);
  readonly #highWater: number;
  readonly #lowWater: number;
  readonly #carrier: Carrier;
  watcher: TransportWatcher | undefined = undefined;
  errorCode = '';
  #full = false;
  #shut = false;
  #finished = false;
  #peerEnded = false;
  #earlyEnd = false;

  protected constructor(carrier: Carrier, encrypted: boolean) {
    this.#carrier = carrier;
    this.encrypted = encrypted;
    this.#highWater = encrypted ? SHARED_HIGH_WATER : HIGH_WATER;
    this.#lowWater = this.#highWater * LOW_SHARE;
    carrier.attach(this);
  }

  /**
   * Gives `buffer[0, length)` to the socket. When it is not taken at once, `inFlight` counts it, and `written` follows;
   * where the kernel has it, perhaps only if `stillWriting` says so.
   */
  protected abstract send(buffer: Buffer, length: number): void;
  abstract pause(): void;
  abstract resume(): void;

  get handler(): TransportHandler {
    return this.#handler;
  }
  set handler(handler: TransportHandler) {
    this.#handler = handler;
    this.#onData = onDataOf(handler);
  }

  get bytesRead(): number {
    return this.#carrier.bytesRead;
  }
  get bytesWritten(): number {
    return this.#carrier.bytesWritten;
  }

  get pendingBytes(): number {
    return this.output.length + (this.inFlightTaken ? 0 : this.inFlight);
  }

  get bulky(): boolean {
    return this.output.length >= BULK;
  }

  get takenBytes(): number {
    return this.#written - this.output.length - this.unsent;
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (this.dead || this.#ending) return true;
    this.output.append(buffer, start, end);
    return this.#appended(end - start);
  }

  reserve(n: number): { buffer: Buffer; offset: number } {
    return this.output.reserve(n);
  }

  commit(length: number): boolean {
    if (this.dead || this.#ending) return true;
    this.output.commit(length);
    return this.#appended(length);
  }

  flush(): void {
    // One write at a time: a second one into TLS before the first has completed aborts the process, and for TCP it would only queue.
    if (this.dead || this.#isWriting()) return;
    const length = this.output.length;
    if (length > 0) this.send(this.output.take(), length);
    this.#shutWhenDone();
  }

  end(): void {
    if (this.#ending || this.dead) return;
    this.#ending = true;
    this.flush();
  }

  destroy(): void {
    if (this.dead) return;
    this.dead = true;
    this.output.discard();
    this.#carrier.destroy();
  }

  reset(): void {
    if (this.dead) return;
    this.dead = true;
    this.output.discard();
    this.#carrier.reset();
  }

  /** Of the bytes in flight, those that the kernel has not taken; all of them where that is not known. */
  protected get unsent(): number {
    return this.inFlightTaken ? 0 : this.inFlight;
  }

  /** Whether the write under way, which `inFlight` counts, really is still. Then `written` will follow, and else `inFlight` is 0. */
  protected stillWriting(): boolean {
    return true;
  }

  /** A write was taken by the kernel. */
  protected written(bytes: number): void {
    this.inFlight -= bytes;
    this.inFlightTaken = false;
    if (this.dead) return;
    if (this.output.length > 0) this.flush();
    this.#shutWhenDone();
    this.#drained();
  }

  protected received(buffer: Buffer, start: number, end: number): void {
    if (this.dead) return;
    if (this.#early !== undefined) {
      this.#early.push(Buffer.from(buffer.subarray(start, end)));
      return;
    }
    this.#onData.call(this.#handler, buffer, start, end);
  }

  protected receivedEnd(): void {
    if (this.dead || this.#peerEnded) return;
    if (this.#early !== undefined) {
      this.#earlyEnd = true;
      return;
    }
    this.#peerEnded = true;
    this.handler.onEnd();
    this.#closeWhenBothEnded();
  }

  /** Bytes that were read before the handler was set: handed over when this turn ends. Until then everything that comes queues behind them. */
  protected deferUntilHandlerSet(first: Buffer | undefined): void {
    this.#early = first === undefined ? [] : [first];
    setImmediate(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      beginCallback();
      try {
        for (const buffer of early) this.received(buffer, 0, buffer.length);
        if (this.#earlyEnd) this.receivedEnd();
      } finally {
        endCallback();
      }
    });
  }

  protected noteError(code: string): void {
    if (this.errorCode === '') this.errorCode = code;
  }

  #appended(n: number): boolean {
    this.#written += n;
    if (!this.scheduled) {
      if (this.eager) flushEager(this);
      else flushLate(this);
    }
    if (this.pendingBytes <= this.#highWater && !this.#refused()) return true;
    // Give the kernel what it takes now: only what it refuses counts as backlog.
    this.flush();
    if (this.pendingBytes <= this.#lowWater) return true;
    this.#full = true;
    return false;
  }

  /** The kernel has not taken all of the last write: an app or a client that reads no more. Between proxies, with batches for many, it says nothing of that. */
  #refused(): boolean {
    return this.inFlight > 0 && !this.encrypted;
  }

  #drained(): void {
    if (!this.#full || this.pendingBytes > this.#lowWater) return;
    this.#full = false;
    this.handler.onDrain();
  }

  /** Who has to know it when a write has ended asks here: nobody else may be told. */
  #isWriting(): boolean {
    return this.inFlight > 0 && this.stillWriting();
  }

  #shutWhenDone(): void {
    if (!this.#ending || this.#shut || this.dead || this.output.length > 0 || this.#isWriting()) return;
    this.#shut = true;
    this.#carrier.finish();
  }

  carrierFailed(code: string): void {
    this.noteError(code);
  }

  carrierFinished(): void {
    this.#finished = true;
    this.#closeWhenBothEnded();
  }

  carrierClosed(): void {
    this.dead = true;
    this.output.discard();
    const { handler, watcher } = this;
    this.handler = NO_HANDLER;
    this.watcher = undefined;
    watcher?.transportClosed();
    beginCallback();
    try {
      handler.onClose();
    } finally {
      endCallback();
    }
  }

  /** The FIN is with the kernel; nothing more can come in either direction. */
  #closeWhenBothEnded(): void {
    if (this.#finished && this.#peerEnded) this.destroy();
  }
}

function onDataOf({ onData }: { readonly onData: OnData }): OnData {
  return onData;
}
