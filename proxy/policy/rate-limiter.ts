import type { HttpLocalRateLimit } from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';

/** What a client may use up at once: a second's worth, as with Linkerd. ms. */
const BURST_MS = 1_000;

/**
 * Clients whose limits are kept; beyond it those are forgotten that have used nothing up. Each is some hundred bytes,
 * and a cluster set has fewer workloads.
 */
const MAX_CLIENTS = 10_000;

/** Lets so many requests a second pass (GCRA): evenly, or a second's worth at once. */
export class RateLimit {
  readonly #intervalMs: number;
  /** ms, monotonic: when all that was let pass is paid for. */
  #paidAt = 0;

  /**
   * @param perSecond more than 0
   * @param before the limits whose place it takes: what was let pass there is still to be paid for
   */
  constructor(perSecond: number, before: readonly (RateLimit | undefined)[] = []) {
    this.#intervalMs = 1_000 / perSecond;
    for (const limit of before) if (limit !== undefined) this.#paidAt = Math.max(this.#paidAt, limit.#paidAt);
  }

  /** @param now ms, monotonic */
  admits(now: number): boolean {
    return Math.max(this.#paidAt, now) + this.#intervalMs - now <= BURST_MS;
  }

  take(now: number): void {
    this.#paidAt = Math.max(this.#paidAt, now) + this.#intervalMs;
  }

  /** Nothing is used up. */
  isFull(now: number): boolean {
    return this.#paidAt <= now;
  }
}

/** Which limit: that of all clients, or that of one. Linkerd's words. */
export type LimitScope = 'total' | 'identity';

/**
 * The limits of a port: over all requests, and for each client. One writer: the port's requests. A policy that is told
 * anew makes a new limiter, which goes on with what clients have used up: otherwise a policy that changes each second
 * would lift every limit.
 */
export class RateLimiter {
  /** `ratelimit_…` of metrics: the object that the limits are from. */
  readonly labels: Readonly<Record<string, string>>;
  readonly #total: RateLimit | undefined;
  readonly #perClient: number;
  readonly #overrides = new Map<string, RateLimit>();
  readonly #clients: Map<string, RateLimit>;
  /** ms, monotonic: those who have used nothing up are not looked for before. */
  #forgetsFrom = 0;

  /** @param before what held until now */
  constructor({ metadata, total, identity, overrides }: HttpLocalRateLimit, before?: RateLimiter) {
    this.labels = labelsOf(metadata);
    this.#total = limitOf(total?.requestsPerSecond, before === undefined ? [] : [before.#total]);
    this.#perClient = identity?.requestsPerSecond ?? 0;
    for (const { limit, clients } of overrides) {
      const names = clients?.identities.map(({ name }) => name) ?? [];
      const used = before === undefined ? [] : names.map((name) => before.#known(name));
      const shared = limitOf(limit?.requestsPerSecond, used);
      // Those whom one override names share its limit, as with Linkerd.
      if (shared !== undefined) for (const name of names) this.#overrides.set(name, shared);
    }
    this.#clients = this.#clientsAfter(before);
  }

  /** Clients whose limits are kept, but for those that an override names. */
  get clients(): number {
    return this.#clients.size;
  }

  /** What is kept of a client. */
  #known(identity: string): RateLimit | undefined {
    return this.#overrides.get(identity) ?? this.#clients.get(identity);
  }

  #clientsAfter(before: RateLimiter | undefined): Map<string, RateLimit> {
    const clients = new Map<string, RateLimit>();
    if (before === undefined || this.#perClient === 0) return clients;
    const same = before.#perClient === this.#perClient;
    for (const [name, limit] of before.#clients)
      clients.set(name, same ? limit : new RateLimit(this.#perClient, [limit]));
    for (const [name, limit] of before.#overrides)
      if (!this.#overrides.has(name)) clients.set(name, new RateLimit(this.#perClient, [limit]));
    return clients;
  }

  /**
   * Takes one request into account. A client over its own limit uses up nothing of the others'.
   * @param identity of the client; those without one share a limit
   * @param now ms, monotonic
   * @returns the limit that the request is too much for; undefined: it passes
   */
  exceeded(identity: string, now: number): LimitScope | undefined {
    const own = this.#overrides.get(identity) ?? this.#client(identity, now);
    if (own?.admits(now) === false) return 'identity';
    if (this.#total?.admits(now) === false) return 'total';
    own?.take(now);
    this.#total?.take(now);
    return undefined;
  }

  #client(identity: string, now: number): RateLimit | undefined {
    if (this.#perClient === 0) return undefined;
    let limit = this.#clients.get(identity);
    if (limit === undefined) {
      if (this.#clients.size >= MAX_CLIENTS && now >= this.#forgetsFrom) this.#forget(now);
      limit = new RateLimit(this.#perClient);
      this.#clients.set(identity, limit);
    }
    return limit;
  }

  /** Looks at all. Once in the time that pays for everything is enough: beyond MAX_CLIENTS come those who are new within it, and each costs no walk. */
  #forget(now: number): void {
    this.#forgetsFrom = now + BURST_MS;
    for (const [identity, limit] of this.#clients) if (limit.isFull(now)) this.#clients.delete(identity);
  }
}

function limitOf(
  perSecond: number | undefined,
  before: readonly (RateLimit | undefined)[],
): RateLimit | undefined {
  return perSecond === undefined || perSecond === 0 ? undefined : new RateLimit(perSecond, before);
}

function labelsOf(metadata: Metadata | undefined): Record<string, string> {
  if (metadata?.kind.case !== 'resource') return {};
  const { group, kind, name } = metadata.kind.value;
  return { ratelimit_group: group, ratelimit_kind: kind, ratelimit_name: name };
}
