import { createBackOff, type BackOff, type Clock, type Timer } from '../../workload-identity/index.ts';
import type { Endpoint } from './endpoint.ts';
import { PeakEwma } from './peak-ewma.ts';
import type { Destination } from '../upstream/dispatch.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { type Candidate, Picker } from './picker.ts';

/** ms: an endpoint that could not be reached is left alone that long, doubling up to the second: Linkerd's connect back-off. */
const MIN_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 60_000;

/** `away`: could not be reached, and is tried again when the timer ends. */
type Availability =
  | { readonly kind: 'ready' }
  | { readonly kind: 'away'; readonly timer: Timer }
  | { readonly kind: 'removed' };

const READY: Availability = { kind: 'ready' };
const REMOVED: Availability = { kind: 'removed' };

/** An endpoint as one balancer sees it. @typeParam R what the owner keeps beside it: its connections, its metrics */
export class BalancedEndpoint<R extends Destination = Destination> implements Candidate, Destination {
  endpoint: Endpoint;
  readonly load: PeakEwma;
  readonly resource: R;
  readonly backOff: BackOff;
  availability: Availability = READY;

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

export interface BalancerOptions<R extends Destination> {
  clock: Clock;
  /** ms, monotonic. */
  now: () => number;
  /** A number in [0, 1). */
  random: () => number;
  /** Opens what belongs to a new endpoint. */
  open: (endpoint: Endpoint) => R;
  /** Gives it back. Requests in flight there go on. */
  close: (resource: R) => void;
  /** A new picker stands. */
  onPicker: (picker: Picker<BalancedEndpoint<R>>) => void;
}

/** Endpoints -> picker. The slow side: told of changes and failures, publishes snapshots that the request path reads. */
export class Balancer<R extends Destination> {
  picker: Picker<BalancedEndpoint<R>>;
  readonly #options: BalancerOptions<R>;
  readonly #endpoints = new Map<string, BalancedEndpoint<R>>();

  constructor(options: BalancerOptions<R>) {
    this.#options = options;
    this.picker = new Picker([], options.random);
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** Takes the whole set of endpoints. What stays keeps its measurements and connections. */
  update(endpoints: Iterable<Endpoint>): void {
    const wanted = new Map([...endpoints].map((endpoint) => [endpoint.key, endpoint]));
    for (const [key, known] of this.#endpoints) if (!wanted.has(key)) this.#remove(key, known);
    const { now, random, open } = this.#options;
    for (const [key, endpoint] of wanted) {
      const known = this.#endpoints.get(key);
      if (known !== undefined) {
        known.endpoint = endpoint;
        continue;
      }
      this.#endpoints.set(key, new BalancedEndpoint(endpoint, open(endpoint), now(), random));
    }
    this.#publish();
  }

  /** The endpoint could not be reached: it is not picked until its back-off ends. */
  failed(endpoint: BalancedEndpoint<R>): void {
    if (endpoint.availability.kind !== 'ready') return;
    const timer = this.#options.clock.after(endpoint.backOff.next(), () => {
      if (endpoint.availability.kind !== 'away') return;
      endpoint.availability = READY;
      this.#publish();
    });
    endpoint.availability = { kind: 'away', timer };
    this.#publish();
  }

  /** The endpoint was reached. */
  succeeded(endpoint: BalancedEndpoint<R>): void {
    endpoint.backOff.reset();
    if (endpoint.availability.kind !== 'away') return;
    endpoint.availability.timer.cancel();
    endpoint.availability = READY;
    this.#publish();
  }

  close(): void {
    for (const [key, known] of this.#endpoints) this.#remove(key, known);
    this.#publish();
  }

  #remove(key: string, known: BalancedEndpoint<R>): void {
    if (known.availability.kind === 'away') known.availability.timer.cancel();
    known.availability = REMOVED;
    this.#endpoints.delete(key);
    this.#options.close(known.resource);
  }

  #publish(): void {
    const ready = [...this.#endpoints.values()].filter((e) => e.availability.kind === 'ready');
    this.picker = new Picker(ready, this.#options.random);
    this.#options.onPicker(this.picker);
  }
}
