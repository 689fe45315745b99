import { READY, type BalancedEndpoint } from '../balance/balanced-endpoint.ts';
import { Balancer } from '../balance/balancer.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import {
  gatewayOutcome,
  isEndpointsFault,
  isGatewaysFault,
  outcomeOf,
  retryAfterMs,
} from '../balance/outcome.ts';
import { causes, type Cause } from '../errors.ts';
import type { InFlight } from '../in-flight.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { routeOf } from '../route/limits-layer.ts';
import { defaultRules, type OutboundRules } from '../route/outbound-rules.ts';
import { grpcStatusOf } from '../telemetry/classify.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Attempt } from '../upstream/attempt.ts';
import type { Choice, Destination } from '../upstream/destination.ts';
import { Dispatch } from '../upstream/dispatch.ts';
import { isRequired } from '../upstream/required-identity.ts';
import type { Clock } from '../../workload-identity/index.ts';
import { PeerFields, removeMarks } from './peer-fields.ts';
import { balancedOf, reachOf, type Reach } from './reach.ts';
import { Retries, trailersMayRetry, tryLimitOf } from './retries.ts';
import type { TargetMetrics } from './target-metrics.ts';
import { WaitingRoom } from './waiting-room.ts';

/** Requests that wait for an endpoint: Linkerd's queue capacity. */
const QUEUE_CAPACITY = 10_000;

export interface BalanceOptions {
  reach: (endpoint: Endpoint) => Reach;
  /** The route of a request that came before it was known: the request may be handed over to another backend. */
  late: (attempt: Attempt) => void;
  release: (reach: Reach) => void;
  /** What the control plane says of an endpoint has changed. */
  relabelled: (endpoint: Endpoint) => void;
  /** Requests by endpoint, endpoints, retries, ejections. The cells of the latter two are asked for when there are any, as most targets have none. */
  metrics: Pick<TargetMetrics, 'reach' | 'endpoints' | 'queued' | 'queue' | 'retries' | 'ejections'>;
  /** ms that requests wait for an endpoint before all of them fail, where no policy says. */
  failFastMs: number;
  /** Requests under way, of all targets. */
  inFlight: InFlight;
  timers: TimerWheel;
  /** Fine enough for tens of ms: back-offs, the time of one try. */
  deadlines: TimerWheel;
  clock: Clock;
  now: () => number;
  random: () => number;
}

/** What is known of the target's endpoints. */
export type Supply =
  | { readonly kind: 'waiting' }
  /**
   * `alone`: they are a server outside of the mesh. What can't be reached there is said at once, as Linkerd's proxy
   * does: no control plane knows of it that another will come.
   */
  | { readonly kind: 'endpoints'; readonly endpoints: readonly Endpoint[]; readonly alone?: boolean }
  /** No request can be served, and none needs to wait for that. */
  | { readonly kind: 'none'; readonly cause: Cause };

/** Chooses among the endpoints of one target: two choices on peak EWMA, a queue while there is none, fail-fast after that. */
export class Balance extends Dispatch {
  readonly #options: BalanceOptions;
  readonly #balancer: Balancer<Reach>;
  readonly #room: WaitingRoom;
  readonly #retries: Retries;
  readonly #fields: PeerFields;
  #supply: Supply = { kind: 'waiting' };
  #rules: OutboundRules = defaultRules();

  constructor(options: BalanceOptions) {
    super(options.deadlines);
    this.#options = options;
    const { metrics, now, random, timers } = options;
    this.#fields = new PeerFields(now);
    this.#retries = new Retries({ cells: () => metrics.retries(), now, random });
    this.#room = new WaitingRoom({
      timers,
      onLength: (length) => metrics.queue(length),
      onGivenUp: () => this.#failAll(this.#failFastCause()),
    });
    this.#balancer = new Balancer({
      clock: options.clock,
      now,
      random,
      open: options.reach,
      relabel: (reach, one) => {
        options.relabelled(one);
        return { ...reach, endpoint: one, cells: metrics.reach(one) };
      },
      close: options.release,
      onPicker: (picker) => {
        const ready = picker.candidates.length;
        metrics.endpoints(ready, this.#balancer.size - ready);
        if (ready > 0) this.#release();
      },
      onEjected: () => metrics.ejections().add(),
      onUnreached: () => {
        if (this.#alone && this.#balancer.picker.empty) this.#failAll(causes.connectFailed);
      },
    });
  }

  get endpoints(): number {
    return this.#balancer.size;
  }

  /** What the policy says now. */
  configure(rules: OutboundRules): void {
    this.#rules = rules;
    this.#balancer.configure(rules);
  }

  /** Routes are known from now on: requests that wait are told theirs. */
  routed(): void {
    for (const attempt of this.#room) {
      if (attempt.x.opaque || routeOf(attempt.x) !== undefined) continue;
      this.#options.late(attempt);
      if (attempt.state !== 'unplaced') this.abandoned(attempt);
    }
  }

  /** A request would find an endpoint, or may soon. */
  get available(): boolean {
    return (!this.#room.failing || !this.#balancer.picker.empty) && this.#supply.kind !== 'none';
  }

  /** What discovery says now. */
  supply(supply: Supply): void {
    this.#supply = supply;
    if (supply.kind === 'endpoints') this.#balancer.update(supply.endpoints);
    else this.#balancer.update([]);
    if (supply.kind === 'none') this.#failAll(supply.cause);
  }

  /** Nobody asks for the target: what cannot be reached is let be. */
  suspend(): void {
    this.#room.rest();
    this.#balancer.rest();
  }

  resume(): void {
    this.#balancer.wake();
  }

  close(): void {
    this.#room.close();
    this.#failAll(causes.shuttingDown);
    this.#balancer.close();
  }

  protected override choose(_x: Exchange, head: Head | undefined, failed: Destination | undefined): Choice {
    if (failed === undefined && this.#options.inFlight.over) return causes.overloaded;
    const { picker } = this.#balancer;
    const now = this.#options.now();
    const chosen = (failed === undefined ? picker : picker.without(balancedOf(failed))).pick(now);
    if (chosen === undefined) return undefined;
    if (head !== undefined && !isRequired(head, chosen.endpoint)) return causes.identityRequired;
    this.#balancer.picked(chosen);
    return chosen;
  }

  protected override unplaced(attempt: Attempt): void {
    if (this.#supply.kind === 'none') return this.fail(attempt, this.#supply.cause);
    if (this.#room.failing) return this.fail(attempt, this.#failFastCause());
    if (this.#room.size >= (this.#rules.queueCapacity ?? QUEUE_CAPACITY))
      return this.fail(attempt, causes.overloaded);
    this.#options.metrics.queued();
    this.#room.enter(attempt, this.#failFastMs);
  }

  protected override abandoned(attempt: Attempt): void {
    this.#room.leave(attempt);
  }

  protected override prepare(x: Exchange, head: Head, destination: Destination): void {
    this.#fields.write(x, head, reachOf(destination));
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    removeMarks(x, head);
    super.responseHead(x, head, end);
  }

  protected override onSent(attempt: Attempt, destination: Destination): void {
    attempt.sentAt = this.#options.now();
    const chosen = balancedOf(destination);
    chosen.load.inFlight++;
    // Those who wait go by the same connection, and after this one: its stream has a number already.
    if (chosen.availability !== READY) this.#reached(chosen);
    const reach = reachOf(destination);
    attempt.wentTo = reach;
    if (!attempt.x.opaque) reach.cells.request();
  }

  /** A method of its own, as every request calls `onSent`: what a closure holds is allocated by each call of the function that it stands in. */
  #reached(chosen: BalancedEndpoint<Reach>): void {
    queueMicrotask(() => this.#balancer.succeeded(chosen));
  }

  /** Behind the proxy there is no app: that speaks against the endpoint as an answer would. */
  protected override onRefused(attempt: Attempt, destination: Destination, cause: Cause): void {
    if (cause !== causes.connectFailed) return;
    attempt.judged = true;
    this.#balancer.record(balancedOf(destination), 'failure', 0);
  }

  protected override onUnsent(destination: Destination): void {
    this.#balancer.left(balancedOf(destination));
  }

  protected override onConnectFailed(destination: Destination): void {
    this.#balancer.failed(balancedOf(destination));
  }

  /** As with Linkerd a request goes to no endpoint that can't be reached: it waits until there is one, or for the fail-fast time, and costs no retry. */
  protected override unreached(attempt: Attempt): boolean {
    if (this.#alone) return false;
    // Of many endpoints that take their time to fail it does not try all.
    if (this.#options.now() - attempt.x.startedAt >= this.#failFastMs) this.fail(attempt, causes.failFast);
    else this.place(attempt);
    return true;
  }

  protected override onResponded(attempt: Attempt, destination: Destination, head: Head): void {
    const now = this.#options.now();
    const chosen = balancedOf(destination);
    chosen.load.observe(now, now - attempt.sentAt);
    this.#balancer.succeeded(chosen);
    const outcome =
      chosen.endpoint.authorityOverride === undefined
        ? outcomeOf(head.status, grpcStatusOf(head))
        : gatewayOutcome(head);
    // Trailers may still turn a success into a failure.
    if (outcome === 'success') return;
    attempt.judged = true;
    this.#balancer.record(chosen, outcome, retryAfterMs(head, Date.now()));
  }

  protected override onEnded(attempt: Attempt, destination: Destination, trailers: Head | undefined): void {
    if (attempt.judged) return;
    attempt.judged = true;
    const chosen = balancedOf(destination);
    const isGateway = chosen.endpoint.authorityOverride !== undefined;
    const status = trailers === undefined || isGateway ? undefined : grpcStatusOf(trailers);
    const outcome = outcomeOf(200, status);
    const pushback = outcome === 'success' || trailers === undefined ? 0 : retryAfterMs(trailers, Date.now());
    this.#balancer.record(chosen, outcome, pushback);
    if (outcome === 'success' && attempt.retries > 0) this.#retries.succeeded();
  }

  protected override onReset(attempt: Attempt, destination: Destination, cause: Cause): void {
    if (attempt.judged) return;
    const chosen = balancedOf(destination);
    const isFault =
      chosen.endpoint.authorityOverride === undefined
        ? isEndpointsFault(cause)
        : isGatewaysFault(attempt.x, cause);
    if (!isFault) return;
    attempt.judged = true;
    this.#balancer.record(chosen, 'failure', 0);
  }

  protected override onLeft(attempt: Attempt, destination: Destination): void {
    const chosen = balancedOf(destination);
    chosen.load.inFlight--;
    if (!attempt.judged) this.#balancer.left(chosen);
  }

  protected override retryDelay(attempt: Attempt, status: number, grpcStatus: string | undefined): number {
    return this.#retries.delayAfterAnswer(attempt, status, grpcStatus);
  }

  protected override retryAfterLimit(attempt: Attempt): number {
    return this.#retries.delayAfterLimit(attempt);
  }

  protected override tryLimit(attempt: Attempt): number {
    return tryLimitOf(attempt);
  }

  protected override waitsForTrailers(attempt: Attempt, head: Head): boolean {
    return trailersMayRetry(attempt, head);
  }

  get #alone(): boolean {
    return this.#supply.kind === 'endpoints' && this.#supply.alone === true;
  }

  get #failFastMs(): number {
    return this.#rules.failFastMs ?? this.#options.failFastMs;
  }

  /** An endpoint is there: everyone who waits goes. */
  #release(): void {
    this.#room.open();
    for (const attempt of this.#room.empty()) if (attempt.state === 'unplaced') this.place(attempt);
  }

  #failAll(cause: Cause): void {
    for (const attempt of this.#room.empty()) this.fail(attempt, cause);
  }

  #failFastCause(): Cause {
    return this.#supply.kind === 'waiting' ? causes.discoveryFailed : causes.failFast;
  }
}
