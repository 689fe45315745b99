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
 * May requests go there? One writer: the `Balancer`.
 * `away`: could not be reached; when the timer ends it is `due`, and in its turn `trying`: a connection is made without a request, and it is `ready` or `away` by what comes of it. `ejected`:
 * answered, but failed too often; when the timer ends it is on `probation`, takes one request, and is `probing` until that has ended.
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

/** An endpoint as one balancer sees it. @typeParam R what the owner keeps beside it: its connections, its metrics */
export class BalancedEndpoint<R extends Destination = Destination> implements Candidate, Destination {
  endpoint: Endpoint;
  readonly load: PeakEwma;
  resource: R;
  readonly backOff: BackOff;
  availability: Availability = READY;
  /** Undefined: no policy asks for it. */
  accrual: FailureAccrual | undefined = undefined;
  /** How often it has been ejected since it last came back. */
  ejections = 0;

  constructor(endpoint: Endpoint, resource: R, now: number, random: () => number) {
    this.endpoint = endpoint;
    this.resource = resource;
    this.load = new PeakEwma(now);
    this.backOff = createBackOff(MIN_BACK_OFF_MS, MAX_BACK_OFF_MS, random);
  }

  get weight(): number {
    return this.endpoint.weight;
  }

  get upstream(): Upstream {
    return this.resource.upstream;
  }
}
