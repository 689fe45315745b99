import { causes, type Cause } from '../errors.ts';
import type { Exchange, Head } from '../message.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import { type Inner, StackLayer } from './stack-layer.ts';

/** Bounds the time until a response begins. Outside of the balancer: queueing and retries count. Opaque streams have no response to wait for. */
export class DeadlineLayer extends StackLayer {
  readonly #timers: TimerWheel;
  readonly #responseMs: number;

  constructor(inner: Inner, timers: TimerWheel, responseMs: number) {
    super(inner);
    this.#timers = timers;
    this.#responseMs = responseMs;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    if (!x.opaque) {
      const timer = new Timer(() => this.#expire(x));
      x.timer = timer;
      this.#timers.arm(timer, this.#responseMs);
    }
    super.requestHead(x, head, end);
  }

  override requestReset(x: Exchange, cause: Cause): void {
    this.#cancel(x);
    super.requestReset(x, cause);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    if (head.status >= 200) this.#cancel(x);
    super.responseHead(x, head, end);
  }

  override responseReset(x: Exchange, cause: Cause): void {
    this.#cancel(x);
    super.responseReset(x, cause);
  }

  #expire(x: Exchange): void {
    super.requestReset(x, causes.timeout);
    super.responseReset(x, causes.timeout);
  }

  #cancel(x: Exchange): void {
    if (x.timer instanceof Timer) this.#timers.cancel(x.timer);
  }
}
