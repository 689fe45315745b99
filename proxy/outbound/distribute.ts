import { causes, type Cause } from '../errors.ts';
import { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { FilterAnswer } from '../route/filters.ts';
import { routeOf } from '../route/limits-layer.ts';
import type { Availability, Plan } from '../route/plan.ts';
import { Attempt } from '../upstream/attempt.ts';
import { StackLayer } from '../upstream/stack-layer.ts';
import type { Balance } from './balance.ts';

/** The backends of a target. */
export interface Backends extends Availability {
  /** @param path undefined: the target itself */
  balance(path: string | undefined): Balance;
}

/**
 * Does with a request what its route's plan says: changes it, answers it, or sends it to one of the plan's backends. A
 * request without a plan goes to the target itself. In the stack only once a route of the target has a plan.
 */
export class Distribute extends StackLayer {
  readonly #backends: Backends;
  readonly #random: () => number;

  constructor(backends: Backends, random: () => number) {
    super(backends.balance(undefined));
    this.#backends = backends;
    this.#random = random;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    const plan = x.opaque ? undefined : routeOf(x)?.plan;
    if (plan === undefined) return super.requestHead(x, head, end);
    const answer = plan.filters?.request(head);
    if (answer !== undefined) return this.#answer(x, answer);
    const backend = plan.choose(this.#backends, this.#random);
    if (backend === undefined) return this.#answer(x, causes.injected);
    const own = backend.filters?.request(head);
    if (own !== undefined) return this.#answer(x, own);
    this.#backends.balance(backend.path).requestHead(x, head, end);
  }

  override requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const sink = sinkOf(x);
    if (sink !== undefined) sink.requestData(x, buffer, start, end, last);
    // Answered from here, nobody wants the rest: it is taken, so that the client comes to its end.
    else this.outer(x).requestConsumed(x, end - start);
  }

  override requestTrailers(x: Exchange, trailers: Head): void {
    sinkOf(x)?.requestTrailers(x, trailers);
  }

  override requestReset(x: Exchange, cause: Cause): void {
    sinkOf(x)?.requestReset(x, cause);
  }

  override responseConsumed(x: Exchange, n: number): void {
    sinkOf(x)?.responseConsumed(x, n);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    planOf(x)?.filters?.response(head);
    super.responseHead(x, head, end);
  }

  #answer(x: Exchange, answer: FilterAnswer): void {
    if (answer instanceof Head) this.outer(x).responseHead(x, answer, true);
    else this.outer(x).responseReset(x, answer);
  }
}

/** The balance that has the request; undefined: none has it. */
function sinkOf(x: Exchange): RequestSink | undefined {
  return x.attempt instanceof Attempt ? x.attempt.owner : undefined;
}

function planOf(x: Exchange): Plan | undefined {
  return x.opaque ? undefined : routeOf(x)?.plan;
}
