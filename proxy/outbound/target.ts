import type { Clock, Logger, Resolve } from '../../workload-identity/index.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import { Discovery, type DiscoveryOptions, type Found } from '../control/discovery.ts';
import { OutboundPolicyWatch, type OutboundPolicyOptions } from '../control/outbound-policies.ts';
import { causes, type Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { InFlight } from '../in-flight.ts';
import { LimitsLayer, routeOf } from '../route/limits-layer.ts';
import { defaultRules, type OutboundRules } from '../route/outbound-rules.ts';
import { HttpCells } from '../telemetry/http-metrics.ts';
import type { RequestObserver } from '../telemetry/observer.ts';
import type { TimerWheel } from '../transport/timers.ts';
import { Attempt } from '../upstream/attempt.ts';
import { ownField } from '../upstream/fields.ts';
import { TelemetryLayer } from '../upstream/telemetry-layer.ts';
import { Balance } from './balance.ts';
import { Backend, supplyOf } from './backend.ts';
import { Distribute } from './distribute.ts';
import { resolveName } from './dns-endpoints.ts';
import type { Peers } from './peers.ts';
import { wentTo, type Reach } from './reach.ts';
import { TargetMetrics, type TargetMetricsOptions } from './target-metrics.ts';

export interface TargetOptions extends TargetMetricsOptions {
  discovery: DiscoveryOptions;
  policy: OutboundPolicyOptions;
  peers: Pick<Peers, 'acquire' | 'release' | 'relabelled'>;
  timers: TimerWheel;
  /** Fine enough for tens of ms. */
  deadlines: TimerWheel;
  clock: Clock;
  now: () => number;
  random: () => number;
  failFastMs: number;
  /** Of all targets. */
  inFlight: InFlight;
  /** Follows single requests. @param authority of the target, as metrics show it @param endpoint where a request went */
  observer?: (
    authority: () => string,
    endpoint: (x: Exchange) => Endpoint | undefined,
  ) => RequestObserver | undefined;
  /** Where a name goes that is no Service of this cluster: to itself by DNS, or nowhere (gateway). */
  beyond: { kind: 'dns'; resolve: Resolve } | { kind: 'refuse' };
  /** Ports whose bytes are opaque where no Service says anything: those of servers that speak first. */
  opaquePorts: ReadonlySet<number>;
  /** May a request leave through another cluster's gateway? Not from a gateway: what came in through one never leaves through one again. */
  throughGateways: boolean;
  log: Logger;
}

/**
 * One name that requests go to, with the stack of layers that take them there. Outermost first:
 *
 *   telemetry   counts everything that was asked, also what the layers inside refuse
 *   limits      the request's route; its timeouts and its deadline, over all of its tries
 *   balance     queue, fail-fast, choice of the endpoint, retries within the route's budget
 *   (peer)      shared connections: pool, mutual TLS
 */
export class Target {
  readonly authority: string;
  /** Takes the requests. A gateway puts the cells of who asks into the slot `x.verdict`. */
  readonly stack: RequestSink;
  readonly #options: TargetOptions;
  readonly #discovery: Discovery;
  readonly #policy: OutboundPolicyWatch;
  readonly #balance: Balance;
  readonly #limits: LimitsLayer;
  readonly #metrics: TargetMetrics;
  readonly #listeners = new Set<() => void>();
  /** What holds: the profile's rules, else the policy's. Undefined: not all of it has been told yet. */
  #rules: OutboundRules | undefined = undefined;
  #policyRules: OutboundRules = defaultRules();
  #profileRules: OutboundRules | undefined;
  /** Services that routes send requests to, by path. */
  readonly #backends = new Map<string, Backend>();
  #distribute: Distribute | undefined;
  #dns: { stop(): void } | undefined;
  #suspended = false;
  /** Requests under way. */
  active = 0;
  /** ms, monotonic. */
  lastUsed: number;

  /** @param authority `host:port` as the app named it */
  constructor(authority: string, options: TargetOptions) {
    this.authority = authority;
    this.#options = options;
    this.lastUsed = options.now();
    this.#metrics = new TargetMetrics(authority, options);
    this.#balance = new Balance({
      ...options,
      metrics: this.#metrics,
      reach: (one) => this.#reach(one, this.#metrics),
      late: (attempt) => this.#late(attempt),
      release: ({ endpoint: one }) => options.peers.release(one),
      relabelled: (one) => options.peers.relabelled(one),
    });
    this.#discovery = new Discovery(authority, options.discovery, (found) => this.#onFound(found));
    this.#policy = new OutboundPolicyWatch(
      authority,
      options.policy,
      (rules) => this.#onRules(rules),
      () => this.#onPolicySettled(),
    );
    this.#limits = this.#limitsAround(this.#balance);
    this.stack = this.#telemetry(this.#limits);
    this.#discovery.resume();
    this.#policy.start();
  }

  /** Its bytes are opaque; undefined while nothing is known. */
  get opaque(): boolean | undefined {
    const { found } = this.#discovery;
    if (found.kind === 'waiting') return undefined;
    if (found.kind === 'endpoints') return found.opaque;
    return this.#options.opaquePorts.has(Number(this.authority.slice(this.authority.lastIndexOf(':') + 1)));
  }

  /** Calls back at every news from discovery. Returns the unsubscriber. */
  onFound(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called for each use: wakes a target that was idle. */
  touch(): void {
    this.lastUsed = this.#options.now();
    if (this.#suspended) {
      this.#balance.resume();
      for (const backend of this.#backends.values()) backend.resume();
    }
    this.#suspended = false;
    this.#discovery.resume();
    if (this.#discovery.found.kind !== 'no-service') this.#policy.start();
  }

  /** Nobody uses it: ends its streams and gives its connections back, and remembers where it led. */
  suspend(): void {
    if (this.#suspended) return;
    this.#suspended = true;
    this.#dns?.stop();
    this.#dns = undefined;
    this.#policy.stop();
    this.#balance.suspend();
    this.#discovery.suspend();
    for (const [path, backend] of this.#backends) {
      backend.suspend();
      if (this.#rules?.backends.has(path) !== true) this.#forget(path, backend);
    }
  }

  close(): void {
    this.suspend();
    for (const [path, backend] of this.#backends) this.#forget(path, backend);
    this.#balance.close();
    this.#metrics.endpoints(0, 0);
  }

  #onFound(found: Found): void {
    if (found.kind === 'endpoints') {
      this.#metrics.named(found.name);
      this.#profileRules = found.rules;
    }
    if (found.kind === 'no-service') {
      // What is no Service has no policy.
      this.#policy.stop();
      this.#goBeyond();
    } else if (found.kind === 'waiting') this.#balance.supply(found);
    // The first requests wait for the policy as well: they are to have its timeouts.
    else if (!this.#policy.settled) this.#balance.supply({ kind: 'waiting' });
    else {
      this.#configure();
      this.#balance.supply(supplyOf(found, this.#options.throughGateways));
    }
    for (const listener of this.#listeners) listener();
  }

  #onRules(rules: OutboundRules): void {
    this.#policyRules = rules;
    if (this.#rules !== undefined) this.#configure();
  }

  #onPolicySettled(): void {
    this.#onFound(this.#discovery.found);
  }

  /** All is known that routes are made of. */
  #configure(): void {
    const rules = this.#profileRules ?? this.#policyRules;
    if (rules !== this.#rules) this.#apply(rules);
    this.#balance.routed();
  }

  #apply(rules: OutboundRules): void {
    this.#rules = rules;
    this.#balance.configure(rules);
    if (rules.planned) this.#distribute ??= this.#insertDistribute();
    for (const path of rules.backends) this.#backend(path);
    // A Service that is no longer asked for is kept until the target is idle: requests may be on their way there.
    for (const backend of this.#backends.values()) backend.configure(rules);
  }

  #goBeyond(): void {
    this.#configure();
    const { beyond, clock, log } = this.#options;
    if (beyond.kind === 'refuse') return this.#refuse(causes.noSuchTarget);
    this.#dns?.stop();
    this.#dns = resolveName(this.authority, { ...beyond, clock, log }, (endpoints) => {
      if (endpoints === undefined) this.#refuse(causes.connectFailed);
      else this.#balance.supply({ kind: 'endpoints', endpoints, alone: true });
    });
  }

  /** The route of a request that came before it was known. */
  #late(attempt: Attempt): void {
    const { x, head } = attempt;
    if (head === undefined) return;
    this.#limits.begin(x, head, attempt.ended);
    if (this.#distribute !== undefined && routeOf(x)?.plan !== undefined) attempt.handOver(this.#distribute);
  }

  /** Stays there: requests under way have come through it. */
  #insertDistribute(): Distribute {
    const backends = {
      balance: (path: string | undefined) =>
        path === undefined ? this.#balance : this.#backend(path).balance,
      isAvailable: (path: string | undefined) =>
        path === undefined ? this.#balance.available : this.#backend(path).balance.available,
    };
    const distribute = new Distribute(backends, this.#options.random);
    distribute.setOuter(this.#limits);
    this.#limits.inner = distribute;
    return distribute;
  }

  #backend(path: string): Backend {
    const known = this.#backends.get(path);
    if (known !== undefined) return known;
    const { peers } = this.#options;
    const made = new Backend(path, {
      ...this.#options,
      reach: (one, metrics) => this.#reach(one, metrics),
      release: ({ endpoint: one }) => peers.release(one),
      relabelled: (one) => peers.relabelled(one),
    });
    if (this.#rules !== undefined) made.configure(this.#rules);
    made.balance.setOuter(this.#distribute ?? this.#limits);
    this.#backends.set(path, made);
    return made;
  }

  #forget(path: string, backend: Backend): void {
    backend.close();
    this.#backends.delete(path);
  }

  #refuse(cause: Cause): void {
    this.#balance.supply({ kind: 'none', cause });
  }

  #limitsAround(inner: Balance): LimitsLayer {
    const { deadlines, now } = this.#options;
    return new LimitsLayer(inner, {
      route: (head) => this.#rules?.route(head),
      timers: deadlines,
      now,
    });
  }

  #telemetry(inner: LimitsLayer): TelemetryLayer {
    const { http, now, observer } = this.#options;
    return new TelemetryLayer(inner, {
      errors: http.outboundErrors,
      now,
      asked: (x) => (x.verdict instanceof HttpCells ? x.verdict : undefined),
      went: cellsOf,
      unplaced: () => this.#metrics.unplaced(),
      routed: (x) => {
        const route = routeOf(x);
        return route === undefined ? undefined : this.#metrics.route(route);
      },
      observer: observer?.(
        () => this.#metrics.authority,
        (x) => reachedBy(x)?.endpoint,
      ),
      onStart: () => {
        this.active++;
        this.#options.inFlight.active++;
      },
      onEnd: () => {
        this.active--;
        this.#options.inFlight.active--;
      },
    });
  }

  #reach(one: Endpoint, metrics: TargetMetrics): Reach {
    return {
      endpoint: one,
      upstream: this.#options.peers.acquire(one),
      cells: metrics.reach(one),
      port: ownField(FieldId.isthmusPort, String(one.port)),
      target:
        one.authorityOverride === undefined
          ? undefined
          : ownField(FieldId.isthmusTarget, one.authorityOverride),
    };
  }
}

function cellsOf(x: Exchange): HttpCells | undefined {
  return reachedBy(x)?.cells;
}

function reachedBy(x: Exchange): Reach | undefined {
  if (!(x.attempt instanceof Attempt)) return undefined;
  return wentTo(x.attempt);
}
