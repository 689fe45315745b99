import type { Transport } from './transport.ts';

/**
 * Bytes of a connection that may be under way to the other side of its exchange before it is no longer read. Less than
 * a careful read has: where the other side takes none of it, one read is all that we hold. What is not read waits in
 * the kernel.
 */
export const WINDOW = 8 * 1024;
/** Below this many it is read again: half, so that reading and taking overlap. */
export const RESUME = WINDOW / 2;

/** Bytes from a connection to the other side of its exchange: no more of them under way than the window. */
export class Inflow {
  readonly #transport: Transport;
  #unconsumed = 0;
  #held = false;
  #paused = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The connection is not read: the other side is slow, or the owner holds it. */
  get paused(): boolean {
    return this.#paused;
  }

  /** n bytes were handed on. */
  passed(n: number): void {
    this.#unconsumed += n;
    if (this.#unconsumed > WINDOW) this.#pause();
  }

  /** The other side has taken n of them. */
  consumed(n: number): void {
    this.#unconsumed -= n;
    if (this.#unconsumed <= RESUME && !this.#held) this.#resume();
  }

  /** The exchange is over: what it has not consumed counts no more. */
  forget(): void {
    this.#unconsumed = 0;
  }

  /** Nothing is read until `release`. */
  hold(): void {
    this.#held = true;
    this.#pause();
  }

  release(): void {
    this.#held = false;
    if (this.#unconsumed <= RESUME) this.#resume();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#transport.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#transport.resume();
  }
}

/** Bytes into a connection: how many of them may be credited to their source. */
export class Outflow {
  #full = false;
  #owed = 0;

  /** The output has said that it is full and has not drained since. */
  get full(): boolean {
    return this.#full;
  }

  /** n bytes were written, and the output has room for more or not. @returns bytes to credit now */
  wrote(n: number, room: boolean): number {
    if (!room) this.#full = true;
    if (!this.#full) return n;
    this.#owed += n;
    return 0;
  }

  /** The output has drained. @returns bytes to credit now */
  drained(): number {
    const n = this.#owed;
    this.#full = false;
    this.#owed = 0;
    return n;
  }

  /** The exchange is over: nothing is owed to anybody. */
  forget(): void {
    this.#owed = 0;
  }
}
