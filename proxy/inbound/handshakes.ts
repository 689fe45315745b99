import type { Socket } from 'node:net';
import type { Place } from '../admission.ts';

/**
 * Share of the last places that handshakes may hold. Whoever can connect can begin one; the places are meant for those
 * who prove who they are.
 */
const SHARE_OF_LAST = 0.5;

/**
 * Holds the handshakes of one listener to their number. Beyond it the oldest makes room if its client has not said a
 * word. Otherwise the newcomer is turned away: work that was done for those who speak is not thrown away.
 *
 * In the last places the oldest makes room, whatever it has said. A byte costs a stranger nothing: if newcomers were
 * turned away, some dozen strangers would keep out a probe for as long as a handshake may take. So a handshake comes to
 * its end there if fewer others than those places begin while it runs.
 */
export class Handshakes {
  readonly #max: number;
  /** By age. */
  readonly #pending = new Set<Socket>();
  /** Those of them that were taken in at one of the last places, by age. */
  readonly #inLast = new Set<Socket>();

  constructor(max: number) {
    this.#max = max;
  }

  /** @returns whether the handshake may begin */
  begin(socket: Socket, place: Place): boolean {
    if (place.kind === 'last' && this.#inLast.size >= place.of * SHARE_OF_LAST) {
      const [oldest] = this.#inLast;
      if (oldest !== undefined) this.#cut(oldest);
    }
    if (this.#pending.size >= this.#max && !this.#makeRoom()) return false;
    this.#pending.add(socket);
    if (place.kind === 'last') this.#inLast.add(socket);
    return true;
  }

  /** It is over, however it went. @returns false: it had to make room */
  end(socket: Socket): boolean {
    this.#inLast.delete(socket);
    return this.#pending.delete(socket);
  }

  #makeRoom(): boolean {
    const [oldest] = this.#pending;
    if (oldest === undefined || oldest.bytesRead > 0) return false;
    this.#cut(oldest);
    return true;
  }

  #cut(socket: Socket): void {
    this.end(socket);
    socket.destroy();
  }
}
