import { createBackOff, type BackOff, type Timer } from '../../workload-identity/index.ts';
import type { Destination } from '../upstream/destination.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Endpoint } from './endpoint.ts';
import type { FailureAccrual } from './failure-accrual.ts';
import { PeakEwma } from './peak-ewma.ts';
import type { Candidate } from './picker.ts';

/** ms: an endpoint that could not be reached is left alone that long, doubling up to the second: Linkerd's connect back-off. */
const MIN_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 60_000;

/**
 * May requests go there? One writer: the `Balancer`. `away`: could not be reached; when the timer ends it is `due`, and
 * in its turn `trying`: a connection is made without a request, and it is `ready` or `away` by what comes of it.
 * `ejected`: answered, but failed too often; when the timer ends it is on `probation`, takes one request, and is
 * `probing` until that has ended.
 */
export type Availability =
  | { readonly kind: 'ready' }
  | { readonly kind: 'away'; readonly timer: Timer }
  | { readonly kind: 'due' }
  | { readonly kind: 'trying'; readonly giveUp: () => void }
  | { readonly kind: 'ejected'; readonly timer: Timer }
  | { readonly kind: 'probation' }
  | { readonly kind: 'probing' }
  | { readonly kind: 'removed' };

export const READY: Availability = { kind: 'ready' };
export const DUE: Availability = { kind: 'due' };
export const PROBATION: Availability = { kind: 'probation' };
export const PROBING: Availability = { kind: 'probing' };
export const REMOVED: Availability = { kind: 'removed' };

/**
 * An endpoint as one balancer sees it. What belongs to it is opened when it is first of use: of thousands that are
 * told, few are chosen soon, and all together they would hold requests up.
 * @typeParam R what the owner keeps beside it: its connections, its metrics
 */
export class BalancedEndpoint<R extends Destination = Destination> implements Candidate, Destination {
  endpoint: Endpoint;
  readonly load: PeakEwma;
  /** Undefined: it has not been of use yet. Written by the `Balancer` from then on. */
  opened: R | undefined = undefined;
  availability: Availability = READY;
  /** Undefined: no policy asks for it. */
  accrual: FailureAccrual | undefined = undefined;
  /** How often it has been ejected since it last came back. */
  ejections = 0;
  /** Undefined: it has always been reached. */
  #backOff: BackOff | undefined = undefined;
  readonly #create: (endpoint: Endpoint) => R;

  /** @param create makes what belongs to it, once. @param now ms, monotonic */
  constructor(endpoint: Endpoint, create: (endpoint: Endpoint) => R, now: number) {
    this.endpoint = endpoint;
    this.load = new PeakEwma(now);
    this.#create = create;
  }

  get weight(): number {
    return this.endpoint.weight;
  }

  /**
   * What belongs to it, opened when it is first of use. Requests that are there when the endpoint is removed keep what
   * was opened for them. Throws where it was removed before: nobody would close what is opened then.
   */
  open(): R {
    return this.opened ?? this.#openFirst();
  }

  /** Opens what belongs to it, as `open` does. */
  get upstream(): Upstream {
    return this.open().upstream;
  }

  /** ms to the next try to reach it: each time more. @param random a number in [0, 1) */
  nextBackOff(random: () => number): number {
    this.#backOff ??= createBackOff(MIN_BACK_OFF_MS, MAX_BACK_OFF_MS, random);
    return this.#backOff.next();
  }

  /** It was reached: the next back-off is the shortest again. */
  resetBackOff(): void {
    this.#backOff?.reset();
  }

  #openFirst(): R {
    if (this.availability.kind === 'removed')
      throw new Error(
        `the endpoint ${this.endpoint.key} was removed and cannot be opened: pick from the balancer's current picker`,
      );
    this.opened = this.#create(this.endpoint);
    return this.opened;
  }
}
