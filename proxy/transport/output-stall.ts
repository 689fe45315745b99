import { Timer } from './timers.ts';
import type { TimerWheel } from './timers.ts';
import type { Transport } from './transport.ts';

/** ms that a peer may take none of the bytes that wait for it; the deadline that HTTP/2 gives a stream. */
const STALL_MS = 30_000;
/** Looks without a byte of progress, after which it is stalled: it goes at most one look late. */
const LOOKS = 4;

/** Notices a peer that reads nothing of what waits for it. Also when nobody writes any more: the last bytes of a message hold memory, too. */
export class OutputStall {
  readonly #transport: Transport;
  readonly #timers: TimerWheel;
  readonly #onStalled: () => void;
  readonly #timer = new Timer(() => this.#look());
  /** The timer is armed: known here, since who asks at every answer of many connections finds the timer itself in no cache of the processor. */
  #watching = false;
  #taken = 0;
  #looks = 0;

  constructor(transport: Transport, timers: TimerWheel, onStalled: () => void) {
    this.#transport = transport;
    this.#timers = timers;
    this.#onStalled = onStalled;
  }

  /** Bytes have been written. Costs nothing while it watches already. */
  watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#looks = 0;
    this.#taken = this.#transport.takenBytes;
    this.#timers.arm(this.#timer, STALL_MS / LOOKS);
  }

  stop(): void {
    this.#watching = false;
    this.#timers.cancel(this.#timer);
  }

  #look(): void {
    this.#watching = false;
    if (this.#transport.pendingBytes === 0) return;
    const taken = this.#transport.takenBytes;
    this.#looks = taken === this.#taken ? this.#looks + 1 : 0;
    this.#taken = taken;
    if (this.#looks >= LOOKS) this.#onStalled();
    else {
      this.#watching = true;
      this.#timers.arm(this.#timer, STALL_MS / LOOKS);
    }
  }
}
