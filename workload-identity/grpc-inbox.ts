import type { Clock } from './clock.ts';

/**
 * ms of one turn of the event loop that messages may take. A control plane that has restarted tells thousands of
 * endpoints at once, and to take them all in one turn would hold every request up: what is more waits for the next
 * turns, and between these requests have theirs.
 */
export const TURN_MS = 5;

/**
 * Bytes that may wait before the peers get no more credit: the sets of some thousand endpoints, so that only a peer
 * that does not stop to tell is held up. What their windows hold, and one message that has begun, may come on top.
 */
export const MAX_WAITING_BYTES = 1024 * 1024;
/** Bytes of memory that a message takes beside its own, by which many short ones count as well. */
const OVERHEAD_BYTES = 256;

interface Waiting {
  readonly take: () => void;
  readonly bytes: number;
  next: Waiting | undefined;
}

/** What has come in on the calls of a channel is taken in its order: at once, unless this turn has had its share. */
export class Inbox {
  readonly #clock: Clock;
  /** A list, as tens of thousands may wait: an array would move all of them for each that is taken. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
  /** What waits, by `MAX_WAITING_BYTES`. */
  #bytes = 0;
  #forRoom: (() => void)[] = [];
  /** `open`: nothing has come since the last turn. `taking`: in the middle of it. */
  #turn: 'open' | 'begun' | 'taking' = 'open';
  /** ms that this turn has given. */
  #spent = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param take does what is to be done about it; must not throw
   * @param bytes that it holds in memory until then
   */
  put(take: () => void, bytes = 0): void {
    const waiting: Waiting = { take, bytes: bytes + OVERHEAD_BYTES, next: undefined };
    if (this.#last === undefined) this.#first = waiting;
    else this.#last.next = waiting;
    this.#last = waiting;
    this.#bytes += waiting.bytes;
    if (this.#turn === 'open') this.#begin();
    if (this.#turn === 'begun') this.#takeSome();
  }

  /** Calls when more may come: at once, or when no more than `MAX_WAITING_BYTES` wait. @param call must not throw */
  whenRoom(call: () => void): void {
    if (this.#bytes > MAX_WAITING_BYTES) this.#forRoom.push(call);
    else call();
  }

  #begin(): void {
    this.#turn = 'begun';
    this.#spent = 0;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#turn = 'open';
    if (this.#first === undefined) return;
    this.#begin();
    this.#takeSome();
  }

  #takeSome(): void {
    this.#turn = 'taking';
    while (this.#spent < TURN_MS) {
      const take = this.#shift();
      if (take === undefined) break;
      const began = this.#clock.monotonic();
      take();
      this.#spent += this.#clock.monotonic() - began;
    }
    this.#turn = 'begun';
    this.#tellRoom();
  }

  #shift(): (() => void) | undefined {
    const first = this.#first;
    if (first === undefined) return undefined;
    this.#first = first.next;
    if (first.next === undefined) this.#last = undefined;
    this.#bytes -= first.bytes;
    return first.take;
  }

  #tellRoom(): void {
    if (this.#forRoom.length === 0 || this.#bytes > MAX_WAITING_BYTES) return;
    const calls = this.#forRoom;
    this.#forRoom = [];
    for (const call of calls) call();
  }
}
