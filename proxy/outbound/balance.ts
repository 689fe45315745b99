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
import { Http2Connection } from '../http2/connection.ts';
import { FieldId, FieldSet } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { LastingField } from '../message/lasting-field.ts';
import type { Exchange } from '../message/message.ts';
import type { Span } from '../bytes/span.ts';
import { addField, ownField } from '../upstream/fields.ts';
import { markRequest, unmark } from '../upstream/orig-proto.ts';
import type { InFlight } from '../in-flight.ts';
import { routeOf } from '../route/limits-layer.ts';
import { defaultRules, type OutboundRules } from '../route/outbound-rules.ts';
import { formatGrpcTimeout } from '../route/request-fields.ts';
import { backOffMs, retriesGrpc, retriesStatus, type RetryPolicy } from '../route/retry-policy.ts';
import { grpcStatusOf } from '../telemetry/classify.ts';
import type { HttpCells } from '../telemetry/http-metrics.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Attempt } from '../upstream/attempt.ts';
import type { Choice, Destination } from '../upstream/destination.ts';
import { attemptOf, Dispatch, NO_RETRY } from '../upstream/dispatch.ts';
import type { Upstream } from '../upstream/upstream.ts';
import type { Clock } from '../../workload-identity/index.ts';
import { isRequired } from '../upstream/required-identity.ts';
import type { TargetMetrics } from './target-metrics.ts';

/** Requests that wait for an endpoint: Linkerd's queue capacity. */
export const QUEUE_CAPACITY = 10_000;

/** What a target keeps for each of its endpoints. */
export interface Reach extends Destination {
  readonly upstream: Upstream;
  /** As it was told last: its labels may become others. */
  endpoint: Endpoint;
  cells: HttpCells;
  /** The fields that tell the peer's proxy where to go: made once. */
  readonly port: LastingField;
  readonly target: LastingField | undefined;
}

export interface BalanceOptions {
  reach: (endpoint: Endpoint) => Reach;
  /** The route of a request that came before it was known: the request may be handed over to another backend. */
  late: (attempt: Attempt) => void;
  release: (reach: Reach) => void;
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
  /** `alone`: they are a server outside of the mesh. What can't be reached there is said at once, as Linkerd's proxy does: no control plane knows of it that another will come. */
  | { readonly kind: 'endpoints'; readonly endpoints: readonly Endpoint[]; readonly alone?: boolean }
  /** No request can be served, and none needs to wait for that. */
  | { readonly kind: 'none'; readonly cause: Cause };

/**
 * `open`: requests find an endpoint, or queue. `waiting`: some queue and the fail-fast timer runs. `failing`: no endpoint came in time, requests fail at once until
 * one does. Whether one is there again the balancer finds out by itself.
 */
type Gate = 'open' | 'waiting' | 'failing';

/** Chooses among the endpoints of one target: two choices on peak EWMA, a queue while there is none, fail-fast after that. */
export class Balance extends Dispatch {
  readonly #options: BalanceOptions;
  readonly #balancer: Balancer<Reach>;
  readonly #queue = new Set<Attempt>();
  readonly #failFast = new Timer(() => this.#giveUp());
  #client = { name: '', field: ownField(FieldId.isthmusClient, '') };
  #gate: Gate = 'open';
  #supply: Supply = { kind: 'waiting' };
  #rules: OutboundRules = defaultRules();

  constructor(options: BalanceOptions) {
    super(options.deadlines);
    this.#options = options;
    this.#balancer = new Balancer({
      clock: options.clock,
      now: options.now,
      random: options.random,
      open: options.reach,
      relabel: (reach, one) => {
        reach.endpoint = one;
        reach.cells = options.metrics.reach(one);
      },
      close: options.release,
      onPicker: (picker) => {
        const ready = picker.candidates.length;
        options.metrics.endpoints(ready, this.#balancer.size - ready);
        if (ready > 0) this.#release();
      },
      onEjected: () => options.metrics.ejections().add(),
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
    for (const attempt of this.#queue) {
      if (attempt.x.opaque || routeOf(attempt.x) !== undefined) continue;
      this.#options.late(attempt);
      if (attempt.state !== 'unplaced') this.abandoned(attempt);
    }
  }

  /** A request would find an endpoint, or may soon. */
  get available(): boolean {
    return (this.#gate !== 'failing' || !this.#balancer.picker.empty) && this.#supply.kind !== 'none';
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
    if (this.#gate === 'failing') this.#gate = 'open';
    this.#balancer.rest();
  }

  resume(): void {
    this.#balancer.wake();
  }

  close(): void {
    this.#options.timers.cancel(this.#failFast);
    this.#failAll(causes.shuttingDown);
    this.#balancer.close();
  }

  protected override choose(_x: Exchange, head: Head | undefined, failed: Destination | undefined): Choice {
    if (failed === undefined && this.#options.inFlight.over) return causes.overloaded;
    const { picker } = this.#balancer;
    const now = this.#options.now();
    const chosen = (failed === undefined ? picker : picker.without(failed as BalancedEndpoint<Reach>)).pick(
      now,
    );
    if (chosen === undefined) return undefined;
    if (head !== undefined && !isRequired(head, chosen.endpoint)) return causes.identityRequired;
    this.#balancer.picked(chosen);
    return chosen;
  }

  protected override unplaced(attempt: Attempt): void {
    if (this.#supply.kind === 'none') return this.fail(attempt, this.#supply.cause);
    if (this.#gate === 'failing') return this.fail(attempt, this.#failFastCause());
    if (this.#queue.size >= (this.#rules.queueCapacity ?? QUEUE_CAPACITY))
      return this.fail(attempt, causes.overloaded);
    this.#queue.add(attempt);
    this.#options.metrics.queued();
    this.#options.metrics.queue(this.#queue.size);
    if (this.#gate === 'waiting') return;
    this.#gate = 'waiting';
    this.#options.timers.arm(this.#failFast, this.#failFastMs);
  }

  protected override abandoned(attempt: Attempt): void {
    if (this.#queue.delete(attempt)) this.#options.metrics.queue(this.#queue.size);
  }

  /** The last client's name as a field: of a gateway's connection all requests have the same. */
  #clientField(name: string): LastingField {
    if (this.#client.name !== name) this.#client = { name, field: ownField(FieldId.isthmusClient, name) };
    return this.#client.field;
  }

  protected override prepare(x: Exchange, head: Head, destination: Destination): void {
    const { port, target } = reachOf(destination);
    head.removeAll(OURS_ALONE);
    const leftMs = x.deadline === 0 ? 0 : Math.max(1, Math.floor(x.deadline - this.#options.now()));
    if (leftMs > 0 && attemptOf(x).grpc) setGrpcTimeout(head, leftMs);
    const { sink } = attemptOf(x);
    const shared = sink instanceof Http2Connection ? sink : undefined;
    if (shared?.isthmus !== true) {
      // A plain server, or Linkerd's way: the port and the name have gone ahead, and Linkerd's gateway wants to see that name.
      if (target !== undefined) pointAt(head.authority, target);
      unmark(head);
      if (shared !== undefined && !x.http2) markRequest(head, target === undefined);
      return;
    }
    if (attemptOf(x).retried) unmark(head);
    if (target !== undefined) head.addLasting(FieldId.isthmusTarget, target);
    else head.addLasting(FieldId.isthmusPort, port);
    head.addLasting(FieldId.isthmusProtocol, x.opaque ? TCP : x.http2 ? HTTP2 : HTTP1);
    if (x.assertedClient !== undefined)
      head.addLasting(FieldId.isthmusClient, this.#clientField(x.assertedClient));
    if (leftMs > 0) addField(head, FieldId.isthmusTimeout, String(leftMs));
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    const { sink } = attemptOf(x);
    if (sink instanceof Http2Connection && !sink.isthmus) unmark(head);
    super.responseHead(x, head, end);
  }

  protected override onSent(attempt: Attempt, destination: Destination): void {
    attempt.sentAt = this.#options.now();
    const chosen = destination as BalancedEndpoint<Reach>;
    chosen.load.inFlight++;
    // Those who wait go by the same connection, and after this one: its stream has a number already.
    if (chosen.availability !== READY) this.#reached(chosen);
    if (!attempt.x.opaque) reachOf(destination).cells.request();
  }

  /** A method of its own, as every request calls `onSent`: what a closure holds is allocated by each call of the function that it stands in. */
  #reached(chosen: BalancedEndpoint<Reach>): void {
    queueMicrotask(() => this.#balancer.succeeded(chosen));
  }

  /** Behind the proxy there is no app: that speaks against the endpoint as an answer would. */
  protected override onRefused(attempt: Attempt, destination: Destination, cause: Cause): void {
    if (cause !== causes.connectFailed) return;
    attempt.judged = true;
    this.#balancer.record(destination as BalancedEndpoint<Reach>, 'failure', 0);
  }

  protected override onUnsent(destination: Destination): void {
    this.#balancer.left(destination as BalancedEndpoint<Reach>);
  }

  protected override onConnectFailed(destination: Destination): void {
    this.#balancer.failed(destination as BalancedEndpoint<Reach>);
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
    const chosen = destination as BalancedEndpoint<Reach>;
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
    const chosen = destination as BalancedEndpoint<Reach>;
    const isGateway = chosen.endpoint.authorityOverride !== undefined;
    const status = trailers === undefined || isGateway ? undefined : grpcStatusOf(trailers);
    const outcome = outcomeOf(200, status);
    const pushback = outcome === 'success' || trailers === undefined ? 0 : retryAfterMs(trailers, Date.now());
    this.#balancer.record(chosen, outcome, pushback);
    if (outcome === 'success' && attempt.retries > 0) this.#options.metrics.retries().successes.add();
  }

  protected override onReset(attempt: Attempt, destination: Destination, cause: Cause): void {
    if (attempt.judged) return;
    const chosen = destination as BalancedEndpoint<Reach>;
    const isFault =
      chosen.endpoint.authorityOverride === undefined
        ? isEndpointsFault(cause)
        : isGatewaysFault(attempt.x, cause);
    if (!isFault) return;
    attempt.judged = true;
    this.#balancer.record(chosen, 'failure', 0);
  }

  protected override onLeft(attempt: Attempt, destination: Destination): void {
    const chosen = destination as BalancedEndpoint<Reach>;
    chosen.load.inFlight--;
    if (!attempt.judged) this.#balancer.left(chosen);
  }

  // Retries

  protected override retryDelay(attempt: Attempt, status: number, grpcStatus: string | undefined): number {
    const retry = routeOf(attempt.x)?.retry;
    if (retry === undefined) return NO_RETRY;
    const wanted =
      retriesStatus(retry, status) ||
      (grpcStatus !== undefined && retriesGrpc(retry, grpcStatus) && attempt.grpc);
    return wanted ? this.#retryDelay(attempt, retry) : NO_RETRY;
  }

  protected override tryLimit(attempt: Attempt): number {
    const retry = routeOf(attempt.x)?.retry;
    return retry !== undefined && attempt.retries < retry.limit ? retry.attemptMs : 0;
  }

  protected override retryAfterLimit(attempt: Attempt): number {
    const retry = routeOf(attempt.x)?.retry;
    return retry === undefined ? NO_RETRY : this.#retryDelay(attempt, retry);
  }

  protected override waitsForTrailers(attempt: Attempt, head: Head): boolean {
    const retry = routeOf(attempt.x)?.retry;
    return retry !== undefined && retry.grpcCodes !== 0 && head.status === 200 && attempt.grpc;
  }

  #retryDelay(attempt: Attempt, retry: RetryPolicy): number {
    const { now, random } = this.#options;
    const retries = this.#options.metrics.retries();
    if (attempt.retries >= retry.limit) {
      retries.limitExceeded.add();
      return NO_RETRY;
    }
    if (attempt.keptBytes > retry.maxBytes) return NO_RETRY;
    const delay = backOffMs(retry.backOff, attempt.retries + 1, random);
    const { x } = attempt;
    // It would come too late.
    if (x.deadline !== 0 && now() + delay >= x.deadline) return NO_RETRY;
    if (routeOf(x)?.budget.withdraw(now()) !== true) {
      retries.overflow.add();
      return NO_RETRY;
    }
    retries.requests.add();
    return delay;
  }

  get #alone(): boolean {
    return this.#supply.kind === 'endpoints' && this.#supply.alone === true;
  }

  get #failFastMs(): number {
    return this.#rules.failFastMs ?? this.#options.failFastMs;
  }

  /** An endpoint is there: everyone who waits goes. */
  #release(): void {
    this.#options.timers.cancel(this.#failFast);
    this.#gate = 'open';
    for (const attempt of this.#emptied()) if (attempt.state === 'unplaced') this.place(attempt);
  }

  #giveUp(): void {
    this.#gate = 'failing';
    this.#failAll(this.#failFastCause());
  }

  #failAll(cause: Cause): void {
    for (const attempt of this.#emptied()) this.fail(attempt, cause);
  }

  /** Everyone who waited; nobody does any more. */
  #emptied(): readonly Attempt[] {
    if (this.#queue.size === 0) return [];
    const queue = [...this.#queue];
    this.#queue.clear();
    this.#options.metrics.queue(0);
    return queue;
  }

  #failFastCause(): Cause {
    return this.#supply.kind === 'waiting' ? causes.discoveryFailed : causes.failFast;
  }
}

/** The app is told what is left of the time, whether its client said so or the route does. */
function setGrpcTimeout(head: Head, leftMs: number): void {
  head.remove(FieldId.grpcTimeout);
  addField(head, FieldId.grpcTimeout, formatGrpcTimeout(leftMs));
}

function pointAt(span: Span, { buffer, nameEnd, valueEnd }: LastingField): void {
  span.buffer = buffer;
  span.start = nameEnd;
  span.end = valueEnd;
}

/** What only a proxy may say: whoever wrote it before us is not believed, and of an earlier try it may be another endpoint's. */
const OURS_ALONE = new FieldSet(
  FieldId.isthmusPort,
  FieldId.isthmusTarget,
  FieldId.isthmusClient,
  FieldId.isthmusProtocol,
  FieldId.isthmusTimeout,
  FieldId.l5dClientId,
);

const TCP = ownField(FieldId.isthmusProtocol, 'tcp');
const HTTP1 = ownField(FieldId.isthmusProtocol, 'http/1.1');
const HTTP2 = ownField(FieldId.isthmusProtocol, 'h2');

/** What the balancer keeps beside the endpoint that was chosen. */
export function reachOf(destination: Destination): Reach {
  return (destination as BalancedEndpoint<Reach>).resource;
}
