import type { Socket } from 'node:net';
import { closeByReset } from './stream-bindings.ts';

/** The life of a connection, without its bytes: what a transport stands on. */
export interface Carrier {
  /** Bytes so far; also when it is closed. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** `owner` is told from now on, also of an end that has been before. Once. */
  attach(owner: CarrierOwner): void;
  /** Half-closes, behind what was written. */
  finish(): void;
  destroy(): void;
  /**
   * As `destroy`, and the peer sees a reset where there is a way to that; behind `finish` it does not, since what it
   * has not taken yet would be lost with the end that it was told.
   */
  reset(): void;
}

/** Never told within a call of its own. */
export interface CarrierOwner {
  /** @param code the system's error */
  carrierFailed(code: string): void;
  /** The end of our direction is with the kernel. */
  carrierFinished(): void;
  /** Exactly once. */
  carrierClosed(): void;
}

/** A socket of the runtime's. */
export class SocketCarrier implements Carrier {
  readonly #socket: Socket;
  readonly #encrypted: boolean;
  #finishing = false;
  /** Until it has been told of the end. */
  #owner: CarrierOwner | undefined;

  constructor(socket: Socket, encrypted: boolean) {
    this.#socket = socket;
    this.#encrypted = encrypted;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }
  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  attach(owner: CarrierOwner): void {
    this.#owner = owner;
    const socket = this.#socket;
    socket.on('error', (error: NodeJS.ErrnoException) => owner.carrierFailed(error.code ?? 'ERROR'));
    socket.once('close', () => this.#closed());
    // Its event may have been before.
    if (socket.destroyed) setImmediate(() => this.#closed());
  }

  finish(): void {
    this.#finishing = true;
    this.#socket.once('finish', () => this.#owner?.carrierFinished());
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    if (this.#finishing) return this.destroy();
    if (!this.#encrypted) return void this.#socket.resetAndDestroy();
    closeByReset(this.#socket);
    this.#socket.destroy();
  }

  #closed(): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.carrierClosed();
  }
}
