import type { PolicyCell } from '../control/inbound-policies.ts';
import { causes } from '../errors.ts';
import type { Exchange, Head } from '../message.ts';
import type { PortPolicy, Subject, Verdict } from '../policy/inbound-policy.ts';
import type { Counter, Family, Labels } from '../telemetry/registry.ts';
import { type Inner, StackLayer } from '../upstream/stack-layer.ts';

/** `inbound_http_authz_…` and `inbound_tcp_authz_…`: Linkerd's names. */
export interface AuthzMetrics {
  readonly httpAllow: Family<Counter>;
  readonly httpDeny: Family<Counter>;
  readonly tcpAllow: Family<Counter>;
  readonly tcpDeny: Family<Counter>;
}

interface Decided {
  readonly policy: PortPolicy;
  readonly verdict: Verdict;
  readonly http: Counter;
  readonly tcp: Counter;
}

/** Lets a request pass, or answers 403. Asks the policy as it is now: a change counts for connections that are open. */
export class AuthorizeLayer extends StackLayer {
  readonly #policy: PolicyCell;
  readonly #subject: Subject;
  readonly #metrics: AuthzMetrics;
  readonly #labels: Labels;
  /** The verdict is made again only when the policy has changed. */
  #decided: Decided | undefined;

  constructor(inner: Inner, policy: PolicyCell, subject: Subject, metrics: AuthzMetrics, labels: Labels) {
    super(inner);
    this.#policy = policy;
    this.#subject = subject;
    this.#metrics = metrics;
    this.#labels = labels;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    const { verdict, http, tcp } = this.#decide();
    (x.opaque ? tcp : http).add();
    x.verdict = verdict;
    if (verdict.allowed) super.requestHead(x, head, end);
    else super.responseReset(x, causes.unauthorized);
  }

  override requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (isAllowed(x)) super.requestData(x, buffer, start, end, last);
    // Nobody wants the rest of a refused request: it is taken, so that the client comes to its end.
    else super.requestConsumed(x, end - start);
  }

  override requestTrailers(x: Exchange, trailers: Head): void {
    if (isAllowed(x)) super.requestTrailers(x, trailers);
  }

  override requestReset(...args: Parameters<StackLayer['requestReset']>): void {
    if (isAllowed(args[0])) super.requestReset(...args);
  }

  override responseConsumed(x: Exchange, n: number): void {
    if (isAllowed(x)) super.responseConsumed(x, n);
  }

  #decide(): Decided {
    const policy = this.#policy.current;
    if (this.#decided?.policy === policy) return this.#decided;
    const verdict = policy.decide(this.#subject);
    const { httpAllow, httpDeny, tcpAllow, tcpDeny } = this.#metrics;
    const labels = { ...this.#labels, ...verdict.labels };
    this.#decided = {
      policy,
      verdict,
      http: (verdict.allowed ? httpAllow : httpDeny).cell(labels),
      tcp: (verdict.allowed ? tcpAllow : tcpDeny).cell(labels),
    };
    return this.#decided;
  }
}

function isAllowed(x: Exchange): boolean {
  return (x.verdict as Verdict | undefined)?.allowed === true;
}
