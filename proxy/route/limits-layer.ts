import { causes, type Cause } from '../errors.ts';
import { SWITCHING_PROTOCOLS, type Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import { type Inner, StackLayer } from '../upstream/stack-layer.ts';
import { NO_TIMEOUTS, type Route, type Timeouts } from './outbound-rules.ts';
import { takeRequestFields, toldTimeout } from './request-fields.ts';

export interface LimitsLayerOptions {
  /** The route of a request; undefined: not known yet, `begin` follows. `x.startedAt` is set by the layer outside. */
  route: (head: Head) => Route | undefined;
  /** Fine enough for tens of ms. */
  timers: TimerWheel;
  /** ms, monotonic. */
  now: () => number;
}

/**
 * Finds the route of a request and holds it to the route's times, and to the deadline that came with it. A request
 * whose time is over is taken back from where it went and answered with 504. Requests without any limit cost a look at
 * their fields.
 */
export class LimitsLayer extends StackLayer {
  readonly #options: LimitsLayerOptions;

  constructor(inner: Inner, options: LimitsLayerOptions) {
    super(inner);
    this.#options = options;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    if (!x.opaque) this.begin(x, head, end);
    super.requestHead(x, head, end);
  }

  override requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x.limits !== undefined) this.#seen(limitsOf(x), last);
    super.requestData(x, buffer, start, end, last);
  }

  override requestTrailers(x: Exchange, trailers: Head): void {
    if (x.limits !== undefined) this.#seen(limitsOf(x), true);
    super.requestTrailers(x, trailers);
  }

  override requestReset(x: Exchange, cause: Cause): void {
    this.#over(x);
    super.requestReset(x, cause);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    if (x.limits !== undefined) {
      if (head.status === SWITCHING_PROTOCOLS) limitsOf(x).answered();
      if (end) this.#over(x);
      else this.#seen(limitsOf(x), false);
    }
    super.responseHead(x, head, end);
  }

  override responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (x.limits !== undefined) {
      if (last) this.#over(x);
      else this.#seen(limitsOf(x), false);
    }
    super.responseData(x, buffer, start, end, last);
  }

  override responseTrailers(x: Exchange, trailers: Head): void {
    this.#over(x);
    super.responseTrailers(x, trailers);
  }

  override responseReset(x: Exchange, cause: Cause): void {
    this.#over(x);
    super.responseReset(x, cause);
  }

  /** Finds the route of a request and starts its times. @param end the request has come to its end */
  begin(x: Exchange, head: Head, end: boolean): void {
    const { startedAt } = x;
    const found = this.#options.route(head);
    if (found === undefined) return;
    const route = takeRequestFields(head, found);
    if (route.retry !== undefined) route.budget.deposit(startedAt);
    x.route = route;
    const { timeouts } = route;
    const told = toldTimeout(head);
    if (timeouts === NO_TIMEOUTS && told === 0) return;
    const request =
      told > 0 && timeouts.request > 0 ? Math.min(told, timeouts.request) : told || timeouts.request;
    if (request > 0) x.deadline = startedAt + request;
    this.#limit(x, timeouts, end);
  }

  /**
   * Apart from `begin`, which every request calls: what a closure holds is allocated by each call of the function that
   * it stands in, also where it is not made.
   */
  #limit(x: Exchange, timeouts: Timeouts, end: boolean): void {
    const { timers, now } = this.#options;
    const at = now();
    const limits = new Limits(x, timeouts, at, () => this.#look(limits));
    x.limits = limits;
    if (end) limits.requestEnded(at);
    const due = limits.due();
    if (due !== Infinity) timers.arm(limits.timer, due - at);
  }

  #seen(limits: Limits, requestEnd: boolean): void {
    const { timers, now } = this.#options;
    const at = now();
    limits.lastSeen = at;
    if (!requestEnd) return;
    limits.requestEnded(at);
    const due = limits.due();
    if (due !== Infinity) timers.arm(limits.timer, due - at);
  }

  /** The timer fired: something may have moved on since it was armed. */
  #look(limits: Limits): void {
    const { timers, now } = this.#options;
    const left = limits.due() - now();
    if (left === Infinity) return;
    if (left > 0) return timers.arm(limits.timer, left);
    const { x } = limits;
    this.#over(x);
    super.requestReset(x, causes.timeout);
    super.responseReset(x, causes.timeout);
  }

  #over(x: Exchange): void {
    if (x.limits === undefined) return;
    this.#options.timers.cancel(limitsOf(x).timer);
    x.limits = undefined;
  }
}

/** The times of one exchange. */
class Limits {
  readonly x: Exchange;
  readonly timer: Timer;
  readonly #timeouts: Timeouts;
  /** ms, monotonic: of the last byte in either direction. */
  lastSeen: number;
  #responseBy = Infinity;
  #isAnswered = false;

  constructor(x: Exchange, timeouts: Timeouts, now: number, fire: () => void) {
    this.x = x;
    this.#timeouts = timeouts;
    this.lastSeen = now;
    this.timer = new Timer(fire);
  }

  requestEnded(now: number): void {
    const { response } = this.#timeouts;
    if (response > 0 && !this.#isAnswered && this.#responseBy === Infinity) this.#responseBy = now + response;
  }

  /** The request has been answered by what takes HTTP's place on its connection: how long that lasts is the two ends' own. */
  answered(): void {
    this.x.deadline = 0;
    this.#isAnswered = true;
    this.#responseBy = Infinity;
  }

  /** ms, monotonic: when the first of the limits is reached, as things stand. */
  due(): number {
    const { idle } = this.#timeouts;
    const idleBy = idle > 0 ? this.lastSeen + idle : Infinity;
    return Math.min(this.x.deadline || Infinity, this.#responseBy, idleBy);
  }
}

function limitsOf(x: Exchange): Limits {
  if (x.limits instanceof Limits) return x.limits;
  throw new Error('an exchange whose limits are not those of this layer');
}

/** The route of an exchange that passed a `LimitsLayer`; undefined for opaque streams. */
export function routeOf(x: Exchange): Route | undefined {
  return x.route as Route | undefined;
}
