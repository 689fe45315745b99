import type { HttpLocalRateLimit } from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';

/** What a client may use up at once: a second's worth, as with Linkerd. ms. */
const BURST_MS = 1_000;

/** Clients whose limits are kept; beyond it those are forgotten that have used nothing up. Each is some hundred bytes, and a cluster set has fewer workloads. */
const MAX_CLIENTS = 10_000;

/** Lets so many requests a second pass (GCRA): evenly, or a second's worth at once. */
export class RateLimit {
  readonly #intervalMs: number;
  /** ms, monotonic: when all that was let pass is paid for. */
  #paidAt = 0;

  /** @param perSecond more than 0 */
  constructor(perSecond: number) {
    this.#intervalMs = 1_000 / perSecond;
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

/** The limits of a port: over all requests, and for each client. One writer: the port's requests. */
export class RateLimiter {
  /** `ratelimit_…` of metrics: the object that the limits are from. */
  readonly labels: Readonly<Record<string, string>>;
  readonly #total: RateLimit | undefined;
  readonly #perClient: number;
  readonly #overrides = new Map<string, RateLimit>();
  readonly #clients = new Map<string, RateLimit>();

  constructor({ metadata, total, identity, overrides }: HttpLocalRateLimit) {
    this.labels = labelsOf(metadata);
    this.#total = limitOf(total?.requestsPerSecond);
    this.#perClient = identity?.requestsPerSecond ?? 0;
    for (const { limit, clients } of overrides) {
      const shared = limitOf(limit?.requestsPerSecond);
      // Those whom one override names share its limit, as with Linkerd.
      if (shared !== undefined)
        for (const { name } of clients?.identities ?? []) this.#overrides.set(name, shared);
    }
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
      if (this.#clients.size >= MAX_CLIENTS) this.#forget(now);
      limit = new RateLimit(this.#perClient);
      this.#clients.set(identity, limit);
    }
    return limit;
  }

  #forget(now: number): void {
    for (const [identity, limit] of this.#clients) if (limit.isFull(now)) this.#clients.delete(identity);
  }
}

function limitOf(perSecond: number | undefined): RateLimit | undefined {
  return perSecond === undefined || perSecond === 0 ? undefined : new RateLimit(perSecond);
}

function labelsOf(metadata: Metadata | undefined): Record<string, string> {
  if (metadata?.kind.case !== 'resource') return {};
  const { group, kind, name } = metadata.kind.value;
  return { ratelimit_group: group, ratelimit_kind: kind, ratelimit_name: name };
}
