import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../workload-identity/index.ts';
import { backOffMs } from '../route/retry-policy.ts';
import type { Destination } from '../upstream/destination.ts';
import {
  BalancedEndpoint,
  DUE,
  PROBATION,
  PROBING,
  READY,
  REMOVED,
  type Availability,
} from './balanced-endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import { FailureAccrual, type AccrualConfig, type Outcome } from './failure-accrual.ts';
import { DEFAULT_PENALTY, type PenaltyConfig } from './penalty.ts';
import { Picker } from './picker.ts';

/**
 * Share of the endpoints that ejection leaves ready, and never less than one: when most of a service fails, sending
 * everything to what is left would bring that down as well.
 */
export const MIN_READY_SHARE = 0.5;

/** Endpoints that are tried at once without a request: all of a large service may have gone, and each takes a connection. */
export const TRIED_AT_ONCE = 16;

export interface BalancerOptions<R extends Destination> {
  clock: Clock;
  /** ms, monotonic. */
  now: () => number;
  /** A number in [0, 1). */
  random: () => number;
  /** Opens what belongs to an endpoint, when it is first chosen or tried. */
  open: (endpoint: Endpoint) => R;
  /** The endpoint is told with other labels: what takes the place of the resource. */
  relabel?: (resource: R, endpoint: Endpoint) => R;
  /** Gives it back. Requests in flight there go on. */
  close: (resource: R) => void;
  /** A new picker stands. */
  onPicker: (picker: Picker<BalancedEndpoint<R>>) => void;
  /** An endpoint was taken out for its failures. */
  onEjected?: () => void;
  /** One that was tried without a request still cannot be reached. */
  onUnreached?: () => void;
}

/** What a policy asks of a balancer. */
export interface BalancerRules {
  readonly accrual: AccrualConfig | undefined;
  readonly penalty: PenaltyConfig;
}

/** Endpoints -> picker. The slow side: told of changes and failures, publishes snapshots that the request path reads. */
export class Balancer<R extends Destination> {
  picker: Picker<BalancedEndpoint<R>>;
  readonly #options: BalancerOptions<R>;
  readonly #endpoints = new Map<string, BalancedEndpoint<R>>();
  /** Those to be tried, in turn, and those that are. */
  readonly #due = new Set<BalancedEndpoint<R>>();
  readonly #trying = new Set<BalancedEndpoint<R>>();
  #resting = false;
  #rules: BalancerRules = { accrual: undefined, penalty: DEFAULT_PENALTY };

  constructor(options: BalancerOptions<R>) {
    this.#options = options;
    this.picker = new Picker([], options.random);
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** Takes the whole set of endpoints. What stays keeps its measurements and connections. */
  update(endpoints: Iterable<Endpoint>): void {
    const { now, open } = this.#options;
    const wanted = new Set<string>();
    for (const endpoint of endpoints) {
      wanted.add(endpoint.key);
      const known = this.#endpoints.get(endpoint.key);
      if (known !== undefined) this.#retell(known, endpoint);
      else {
        const added = new BalancedEndpoint(endpoint, open, now());
        added.accrual = this.#newAccrual();
        this.#endpoints.set(endpoint.key, added);
      }
    }
    for (const [key, known] of this.#endpoints) if (!wanted.has(key)) this.#remove(key, known);
    this.#publish();
  }

  /** Where the accrual is another one, what was counted so far is void, and who was ejected is back: the new rules judge anew. */
  configure(rules: BalancerRules): void {
    const same = isDeepStrictEqual(rules.accrual, this.#rules.accrual);
    this.#rules = rules;
    if (same) return;
    for (const endpoint of this.#endpoints.values()) {
      endpoint.accrual = this.#newAccrual();
      if (isOut(endpoint.availability)) this.#readmit(endpoint);
    }
    this.#publish();
  }

  /** The picked endpoint gets a request. */
  picked(endpoint: BalancedEndpoint<R>): void {
    if (endpoint.availability.kind === 'probation') this.#enter(endpoint, PROBING);
  }

  /** A request ended there without a word about the endpoint: its client left. */
  left(endpoint: BalancedEndpoint<R>): void {
    if (endpoint.availability.kind === 'probing') this.#enter(endpoint, PROBATION);
  }

  /** The endpoint could not be reached: it is not picked until a connection stands again, which is tried when its back-off ends. */
  failed(endpoint: BalancedEndpoint<R>): void {
    const { kind } = endpoint.availability;
    if (kind === 'probing') return this.#eject(endpoint, 0);
    if (kind === 'ready') this.#sendAway(endpoint);
  }

  /** The endpoint was reached. */
  succeeded(endpoint: BalancedEndpoint<R>): void {
    endpoint.resetBackOff();
    if (!isUnreached(endpoint.availability)) return;
    this.#cancel(endpoint);
    this.#enter(endpoint, READY);
    this.#tryDue();
  }

  /** Nobody asks: endpoints that cannot be reached are let be until `wake`. */
  rest(): void {
    this.#resting = true;
    for (const endpoint of this.#trying) {
      this.#cancel(endpoint);
      this.#becomesDue(endpoint);
    }
  }

  wake(): void {
    this.#resting = false;
    this.#tryDue();
  }

  /** How a request ended there. @param retryAfterMs how long the server asks to be left alone; 0: it does not */
  record(endpoint: BalancedEndpoint<R>, outcome: Outcome, retryAfterMs: number): void {
    const { accrual, load, availability } = endpoint;
    const now = this.#options.now();
    if (outcome !== 'success') load.penalise(now, this.#rules.penalty, retryAfterMs);
    if (accrual === undefined) return;
    if (availability.kind === 'probing') {
      if (outcome !== 'success') return this.#eject(endpoint, retryAfterMs);
      endpoint.ejections = 0;
      accrual.reset();
      this.#enter(endpoint, READY);
    } else if (availability.kind === 'ready' && accrual.record(outcome, now)) {
      if (this.picker.candidates.length > this.#minReady) this.#eject(endpoint, retryAfterMs);
    }
  }

  close(): void {
    for (const [key, known] of this.#endpoints) this.#remove(key, known);
    this.#publish();
  }

  get #minReady(): number {
    const share = Math.ceil(this.#endpoints.size * MIN_READY_SHARE);
    return Math.max(1, share, this.#rules.accrual?.minReady ?? 0);
  }

  #newAccrual(): FailureAccrual | undefined {
    const { accrual } = this.#rules;
    return accrual === undefined ? undefined : new FailureAccrual(accrual);
  }

  #eject(endpoint: BalancedEndpoint<R>, retryAfterMs: number): void {
    const { accrual } = this.#rules;
    if (accrual === undefined) return;
    endpoint.accrual?.reset();
    endpoint.ejections++;
    const { clock, random, onEjected } = this.#options;
    const { backOff, honoursRetryAfter } = accrual;
    const asked = honoursRetryAfter ? Math.min(retryAfterMs, this.#rules.penalty.maxRetryAfterMs) : 0;
    const ms = Math.max(asked, backOffMs(backOff, endpoint.ejections, random));
    const timer = clock.after(ms, () => {
      if (endpoint.availability.kind === 'ejected') this.#enter(endpoint, PROBATION);
    });
    this.#enter(endpoint, { kind: 'ejected', timer });
    onEjected?.();
  }

  #readmit(endpoint: BalancedEndpoint<R>): void {
    if (endpoint.availability.kind === 'ejected') endpoint.availability.timer.cancel();
    endpoint.accrual?.reset();
    endpoint.availability = READY;
  }

  #sendAway(endpoint: BalancedEndpoint<R>): void {
    const timer = this.#options.clock.after(endpoint.nextBackOff(this.#options.random), () => {
      if (endpoint.availability.kind === 'away') this.#becomesDue(endpoint);
    });
    const wasReady = endpoint.availability.kind === 'ready';
    endpoint.availability = { kind: 'away', timer };
    // A try that fails changes nothing for requests, and a picker is made of all endpoints: of a large service that is away there are thousands of both.
    if (wasReady) this.#publish();
  }

  #becomesDue(endpoint: BalancedEndpoint<R>): void {
    endpoint.availability = DUE;
    this.#due.add(endpoint);
    this.#tryDue();
  }

  #tryDue(): void {
    for (const endpoint of this.#due) {
      if (this.#resting || this.#trying.size >= TRIED_AT_ONCE) return;
      this.#due.delete(endpoint);
      this.#try(endpoint);
    }
  }

  #try(endpoint: BalancedEndpoint<R>): void {
    this.#trying.add(endpoint);
    const giveUp = endpoint.upstream.reach((failure) => {
      this.#trying.delete(endpoint);
      if (failure === undefined) {
        endpoint.resetBackOff();
        this.#enter(endpoint, READY);
      } else {
        this.#sendAway(endpoint);
        this.#options.onUnreached?.();
      }
      this.#tryDue();
    });
    endpoint.availability = { kind: 'trying', giveUp };
  }

  /** Ends what would bring the endpoint to another state by itself. */
  #cancel(endpoint: BalancedEndpoint<R>): void {
    const { availability } = endpoint;
    if ('timer' in availability) availability.timer.cancel();
    if (availability.kind === 'trying') availability.giveUp();
    this.#due.delete(endpoint);
    this.#trying.delete(endpoint);
  }

  /** The control plane says it anew, with another weight maybe, or other labels. */
  #retell(known: BalancedEndpoint<R>, endpoint: Endpoint): void {
    const before = known.endpoint;
    if (before === endpoint) return;
    known.endpoint = endpoint;
    if (known.opened === undefined || isDeepStrictEqual(before.labels, endpoint.labels)) return;
    known.opened = this.#options.relabel?.(known.opened, endpoint) ?? known.opened;
  }

  #remove(key: string, known: BalancedEndpoint<R>): void {
    this.#cancel(known);
    known.availability = REMOVED;
    this.#endpoints.delete(key);
    if (known.opened !== undefined) this.#options.close(known.opened);
  }

  #enter(endpoint: BalancedEndpoint<R>, availability: Availability): void {
    endpoint.availability = availability;
    this.#publish();
  }

  #publish(): void {
    const all = [...this.#endpoints.values()];
    this.#keepMinimum(all);
    const ready = all.filter((e) => e.availability.kind === 'ready');
    const probe = all.find(({ availability: { kind } }) => kind === 'probation');
    this.picker = new Picker(ready, this.#options.random, probe);
    this.#options.onPicker(this.picker);
  }

  /** Others went, or cannot be reached: those that were only ejected are better than nobody. */
  #keepMinimum(all: readonly BalancedEndpoint<R>[]): void {
    let missing = Math.min(this.#minReady, all.length);
    for (const { availability } of all) if (availability.kind === 'ready') missing--;
    for (const endpoint of all) {
      if (missing <= 0) return;
      if (!isOut(endpoint.availability)) continue;
      this.#readmit(endpoint);
      missing--;
    }
  }
}

/** No connection could be made. */
function isUnreached({ kind }: Availability): boolean {
  return kind === 'away' || kind === 'due' || kind === 'trying';
}

/** Taken out for its failures. */
function isOut({ kind }: Availability): boolean {
  return kind === 'ejected' || kind === 'probation' || kind === 'probing';
}
