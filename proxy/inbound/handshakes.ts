import type { Socket } from 'node:net';

/**
 * Holds the handshakes of one listener to their number. Beyond it the oldest makes room if its client has not said a word; else who comes does not get one: what has been
 * spent on those who speak is not thrown away.
 */
export class Handshakes {
  readonly #max: number;
  /** By age. */
  readonly #pending = new Set<Socket>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns whether the handshake may begin */
  begin(socket: Socket): boolean {
    if (this.#pending.size >= this.#max && !this.#makeRoom()) return false;
    this.#pending.add(socket);
    return true;
  }

  /** It is over, however it went. @returns false: it had to make room */
  end(socket: Socket): boolean {
    return this.#pending.delete(socket);
  }

  #makeRoom(): boolean {
    const [oldest] = this.#pending;
    if (oldest === undefined || oldest.bytesRead > 0) return false;
    this.#pending.delete(oldest);
    oldest.destroy();
    return true;
  }
}
