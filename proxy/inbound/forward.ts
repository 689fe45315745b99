import { causes } from '../errors.ts';
import { FieldId, FieldSet } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import type { InFlight } from '../in-flight.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Attempt } from '../upstream/attempt.ts';
import type { Choice, Destination } from '../upstream/destination.ts';
import { Dispatch } from '../upstream/dispatch.ts';
import type { Apps } from './apps.ts';
import type { Authorizer } from './authorize.ts';

/** What the peer's proxy has told us is not for the app. */
const BETWEEN_PROXIES = new FieldSet(
  FieldId.isthmusPort,
  FieldId.isthmusTarget,
  FieldId.isthmusClient,
  FieldId.isthmusProtocol,
);

/** Requests of one connection and port that wait for the port's policy. */
const MAX_WAITING = 1_000;

/**
 * Hands requests to the app of this pod that listens on a port, once the policy allows it: a request waits while the policy is being asked for. There is one
 * destination: what it does not take is refused where the client's proxy is ours, and may go to another pod; others get 502.
 */
export class Forward extends Dispatch {
  readonly #apps: Apps;
  readonly #port: number;
  readonly #authorizer: Authorizer;
  readonly #inFlight: InFlight;
  readonly #timers: TimerWheel;
  readonly #waiting = new Set<Attempt>();

  constructor(apps: Apps, port: number, authorizer: Authorizer, inFlight: InFlight, timers: TimerWheel) {
    super(timers);
    this.#timers = timers;
    this.#inFlight = inFlight;
    this.#apps = apps;
    this.#port = port;
    this.#authorizer = authorizer;
  }

  protected override choose(x: Exchange, head: Head | undefined, failed: Destination | undefined): Choice {
    if (failed !== undefined) return undefined;
    if (this.#inFlight.over) {
      x.verdict = 'shed';
      return causes.overloaded;
    }
    const decided = this.#authorizer.decide(x.opaque ? undefined : head);
    x.verdict = decided;
    if (decided === undefined) return undefined;
    if (!decided.allowed) return decided.routed ? causes.unauthorized : causes.noRoute;
    if (!x.opaque && !this.#authorizer.admits(x.startedAt)) return causes.rateLimited;
    const answer = head === undefined ? undefined : decided.rules.filters?.request(head);
    return answer ?? this.#apps.app(this.#port) ?? causes.overloaded;
  }

  /** On HTTP/1.1 nobody says that a request was not processed; with HTTP/2 the app may refuse its stream. */
  protected override keeps(x: Exchange): boolean {
    return x.http2;
  }

  /** The policy is not known yet. */
  protected override unplaced(attempt: Attempt): void {
    if (this.#waiting.size >= MAX_WAITING) return this.fail(attempt, causes.overloaded);
    this.#waiting.add(attempt);
    if (this.#waiting.size === 1) this.#authorizer.whenKnown(() => this.#release());
  }

  protected override abandoned(attempt: Attempt): void {
    this.#waiting.delete(attempt);
  }

  protected override prepare(_x: Exchange, head: Head): void {
    head.removeAll(BETWEEN_PROXIES);
  }

  /** The app does not listen any more, or has closed a kept connection: the client's proxy knows others. */
  protected override onUntaken(x: Exchange): void {
    x.refused = true;
  }

  protected override onSent(attempt: Attempt): void {
    attempt.sentAt = this.#timers.now();
  }

  #release(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const attempt of waiting) if (attempt.state === 'unplaced') this.place(attempt);
  }
}
