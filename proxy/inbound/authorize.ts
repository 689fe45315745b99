import type { PolicyCell } from '../control/inbound-policies.ts';
import type { Head } from '../message/head.ts';
import type { Decider, PortPolicy, Subject, Verdict } from '../policy/inbound-policy.ts';
import type { LimitScope, RateLimiter } from '../policy/rate-limiter.ts';
import type { HttpCells, HttpMetrics } from '../telemetry/http-metrics.ts';
import type { Counter, Family, Labels, Registry } from '../telemetry/registry.ts';
import { InboundRouteMetrics, type RouteCells } from '../telemetry/route-metrics.ts';

/** What policies made of requests and streams: Linkerd's names. */
export class AuthzMetrics {
  readonly httpAllow: Family<Counter>;
  readonly httpDeny: Family<Counter>;
  readonly tcpAllow: Family<Counter>;
  readonly tcpDeny: Family<Counter>;
  readonly noRoute: Family<Counter>;
  readonly rateLimited: Family<Counter>;
  readonly routes: InboundRouteMetrics;

  constructor(registry: Registry) {
    this.httpAllow = registry.counter('inbound_http_authz_allow_total', 'Requests that were let pass');
    this.httpDeny = registry.counter('inbound_http_authz_deny_total', 'Requests that were denied');
    this.tcpAllow = registry.counter('inbound_tcp_authz_allow_total', 'Opaque streams that were let pass');
    this.tcpDeny = registry.counter('inbound_tcp_authz_deny_total', 'Opaque streams that were denied');
    this.noRoute = registry.counter(
      'inbound_http_route_not_found_total',
      'Requests that no route of their Server is for',
    );
    this.rateLimited = registry.counter(
      'inbound_http_local_ratelimit_total',
      'Requests that were too many, by the limit that they were too many for',
    );
    this.routes = new InboundRouteMetrics(registry);
  }
}

/** A verdict over requests, with what counts them: their series carry the policy's labels. */
export class Decided {
  readonly rules: Decider;
  readonly allowed: boolean;
  /** False: there are routes, and none is for the request. */
  readonly routed: boolean;
  /** Of the requests themselves. */
  readonly cells: HttpCells;
  /** Of the route that somebody wrote; undefined: there is none. */
  readonly route: RouteCells | undefined;
  readonly #http: Counter;
  readonly #tcp: Counter;

  constructor(rules: Decider, verdict: Verdict, counts: DecidedCells) {
    this.rules = rules;
    this.allowed = verdict.allowed;
    this.routed = verdict.routed ?? true;
    this.cells = counts.requests;
    this.route = counts.route;
    this.#http = counts.http;
    this.#tcp = counts.tcp;
  }

  /** One more. */
  count(opaque: boolean): void {
    if (opaque) return this.#tcp.add();
    this.#http.add();
    this.cells.request();
  }
}

interface DecidedCells {
  readonly requests: HttpCells;
  readonly route: RouteCells | undefined;
  /** Of the verdict, over requests and over opaque streams. */
  readonly http: Counter;
  readonly tcp: Counter;
}

/** Decides over the requests of one client to one port, by the policy as it is now: a change counts for connections that are open. */
export class Authorizer {
  readonly #policy: PolicyCell;
  readonly #subject: Subject;
  readonly #metrics: AuthzMetrics;
  readonly #requests: HttpMetrics;
  readonly #labels: Labels;
  /** Verdicts are made again only when the policy has changed. */
  #decidedBy: PortPolicy | undefined;
  /** The last one: mostly there is one route. */
  #decided: Decided | undefined;
  readonly #others = new Map<Decider, Decided>();
  readonly #tooMany = new Map<LimitScope, Counter>();

  constructor(
    policy: PolicyCell,
    subject: Subject,
    metrics: AuthzMetrics,
    requests: HttpMetrics,
    labels: Labels,
  ) {
    this.#policy = policy;
    this.#subject = subject;
    this.#metrics = metrics;
    this.#requests = requests;
    this.#labels = labels;
  }

  /**
   * The verdict over one request, which is counted; undefined: the policy is not known yet, `whenKnown` tells.
   * @param head undefined: the stream is opaque
   */
  decide(head: Head | undefined): Decided | undefined {
    const policy = this.#policy.policyFor(head);
    if (policy === undefined) return undefined;
    if (this.#decidedBy !== policy) this.#forget(policy);
    const rules = head === undefined ? policy : policy.rulesFor(head);
    if (this.#decided?.rules !== rules) this.#decided = this.#find(rules);
    this.#decided.count(head === undefined);
    return this.#decided;
  }

  /** Whether the rate limit has room for one more request that is let pass. @param now ms, monotonic */
  admits(now: number): boolean {
    const limiter = this.#decidedBy?.limiter;
    const scope = limiter?.exceeded(this.#subject.identity, now);
    if (limiter === undefined || scope === undefined) return true;
    this.#limitedBy(limiter, scope).add();
    return false;
  }

  /** Calls back once, when the policy is known. */
  whenKnown(callback: () => void): void {
    this.#policy.whenKnown(callback);
  }

  #forget(policy: PortPolicy): void {
    this.#decidedBy = policy;
    this.#decided = undefined;
    this.#others.clear();
    this.#tooMany.clear();
  }

  #limitedBy(limiter: RateLimiter, scope: LimitScope): Counter {
    let counter = this.#tooMany.get(scope);
    if (counter === undefined) {
      const labels = { ...this.#serverLabels(this.#decidedBy?.labels), ...limiter.labels };
      counter = this.#metrics.rateLimited.cell({ ...labels, ratelimit_scope: scope });
      this.#tooMany.set(scope, counter);
    }
    return counter;
  }

  #find(rules: Decider): Decided {
    let decided = this.#others.get(rules);
    if (decided === undefined) {
      decided = this.#compile(rules);
      this.#others.set(rules, decided);
    }
    return decided;
  }

  #compile(rules: Decider): Decided {
    const verdict = rules.decide(this.#subject);
    const { allowed, routed } = verdict;
    const { httpAllow, httpDeny, tcpAllow, tcpDeny, noRoute } = this.#metrics;
    const labels = this.#serverLabels(verdict.labels);
    return new Decided(rules, verdict, {
      requests: this.#requests.cells(labels),
      route: this.#route(verdict.labels),
      // Nobody has judged what no route is for.
      http: (routed === false ? noRoute : allowed ? httpAllow : httpDeny).cell(labels),
      tcp: (allowed ? tcpAllow : tcpDeny).cell(labels),
    });
  }

  /** The client's labels and a policy's. */
  #serverLabels(policy: Labels | undefined): Labels {
    return { ...this.#labels, srv_port: String(this.#policy.number), ...policy };
  }

  #route(labels: Verdict['labels']): RouteCells | undefined {
    const { srv_group, srv_kind, srv_name, route_group, route_kind, route_name } = labels;
    if (route_group === undefined || route_group === '') return undefined;
    return this.#metrics.routes.route({
      ...(srv_group === undefined ? {} : { parent_group: srv_group }),
      parent_kind: srv_kind ?? '',
      parent_name: srv_name ?? '',
      parent_port: String(this.#policy.number),
      route_group,
      route_kind: route_kind ?? '',
      route_name: route_name ?? '',
    });
  }
}
