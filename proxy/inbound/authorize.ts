import type { PolicyCell } from '../control/inbound-policies.ts';
import type { Head } from '../message.ts';
import type { Decider, PortPolicy, Subject, Verdict } from '../policy/inbound-policy.ts';
import type { HttpCells, HttpMetrics } from '../telemetry/http-metrics.ts';
import type { Counter, Family, Labels, Registry } from '../telemetry/registry.ts';

/** `inbound_http_authz_…` and `inbound_tcp_authz_…`: Linkerd's names. */
export class AuthzMetrics {
  readonly httpAllow: Family<Counter>;
  readonly httpDeny: Family<Counter>;
  readonly tcpAllow: Family<Counter>;
  readonly tcpDeny: Family<Counter>;

  constructor(registry: Registry) {
    this.httpAllow = registry.counter('inbound_http_authz_allow_total', 'Requests that were let pass');
    this.httpDeny = registry.counter('inbound_http_authz_deny_total', 'Requests that were denied');
    this.tcpAllow = registry.counter('inbound_tcp_authz_allow_total', 'Opaque streams that were let pass');
    this.tcpDeny = registry.counter('inbound_tcp_authz_deny_total', 'Opaque streams that were denied');
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
  readonly #http: Counter;
  readonly #tcp: Counter;

  constructor(rules: Decider, verdict: Verdict, cells: HttpCells, http: Counter, tcp: Counter) {
    this.rules = rules;
    this.allowed = verdict.allowed;
    this.routed = verdict.routed ?? true;
    this.cells = cells;
    this.#http = http;
    this.#tcp = tcp;
  }

  /** One more. */
  count(opaque: boolean): void {
    if (opaque) return this.#tcp.add();
    // Nobody has judged what no route is for.
    if (this.routed) this.#http.add();
    this.cells.request();
  }
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
    const policy = this.#policy.current;
    if (policy === undefined) return undefined;
    if (this.#decidedBy !== policy) this.#forget(policy);
    const rules = head === undefined ? policy : policy.rulesFor(head);
    if (this.#decided?.rules !== rules) this.#decided = this.#find(rules);
    this.#decided.count(head === undefined);
    return this.#decided;
  }

  /** Whether one more request that is let pass is taken now. @param now ms, monotonic */
  admits(now: number): boolean {
    return this.#decidedBy?.limiter?.admit(this.#subject.identity, now) ?? true;
  }

  whenKnown(callback: () => void): void {
    this.#policy.whenKnown(callback);
  }

  #forget(policy: PortPolicy): void {
    this.#decidedBy = policy;
    this.#decided = undefined;
    this.#others.clear();
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
    const { allowed, labels: verdictLabels } = verdict;
    const { httpAllow, httpDeny, tcpAllow, tcpDeny } = this.#metrics;
    const labels = { ...this.#labels, ...verdictLabels };
    return new Decided(
      rules,
      verdict,
      this.#requests.cells(labels),
      (allowed ? httpAllow : httpDeny).cell(labels),
      (allowed ? tcpAllow : tcpDeny).cell(labels),
    );
  }
}
