import type { Lease } from '../api/kubernetes-types.ts';
import { ownLabels } from '../api/names.ts';
import { sleep, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { errorMessage, silentLog } from './log.ts';
import type { Log } from './log.ts';
import { resources } from './resources.ts';
import { KubernetesError } from './types.ts';
import type { KubernetesClient } from './types.ts';

/**
 * ms for letting go of a lease. It is a courtesy, since the lease ends by itself; a process that ends has half a minute for all it has to do.
 */
const RELEASE_MS = 5_000;

export interface LeaderElectionOptions {
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Of this candidate: unique among all that ever hold the lease, so the pod's name. */
  identity: string;
  /** How long others wait after the last renewal that they saw, in milliseconds. Default 15,000. */
  leaseDurationMs?: number;
  /** How long the holder tries to renew until it gives up, in milliseconds; less than the duration. Default 10,000. */
  renewDeadlineMs?: number;
  /** Between tries, in milliseconds. Default 2,000. */
  retryPeriodMs?: number;
  /** Works for as long as the lease is held; ends soon after `signal` aborts. The lease is let go of only then. */
  lead: (signal: AbortSignal) => Promise<void>;
  clock?: Clock;
  random?: () => number;
  logger?: Log;
}

/** Takes part in an election until `signal` aborts; a lost lease is fought for again. Never rejects. */
export async function runLeaderElection(
  client: KubernetesClient,
  options: LeaderElectionOptions,
  signal: AbortSignal,
): Promise<void> {
  await new LeaderElection(client, options).run(signal);
}

/** client-go's algorithm: clocks are never compared between machines, only how long ago this one saw the lease change. */
class LeaderElection {
  readonly #client: KubernetesClient;
  readonly #options: LeaderElectionOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  #observedVersion: string | undefined;
  #observedAt = 0;

  constructor(client: KubernetesClient, options: LeaderElectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.logger ?? silentLog;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2000;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const started = this.#clock.now();
      const isHeld = await this.#tryHold();
      // An answer that took long is of a lease that others may see end before it has been renewed once.
      const isFresh = this.#clock.now() - started < this.#renewDeadlineMs;
      if (isHeld && isFresh) await this.#term(started, signal);
      // Jitter as in client-go, so that candidates do not meet in conflicts for ever.
      const jitter = 1 + 0.2 * (this.#options.random ?? Math.random)();
      await sleep(this.#clock, this.#retryPeriodMs * jitter, signal);
    }
  }

  async #term(acquiredAt: number, signal: AbortSignal): Promise<void> {
    const { name, identity } = this.#options;
    this.#log.info({ lease: name, identity }, 'leading');
    const term = new AbortController();
    const leading = this.#lead(term);
    await this.#renew(acquiredAt, AbortSignal.any([signal, term.signal]));
    term.abort();
    await leading;
    await this.#releaseInTime();
    this.#log.info({ lease: name, identity }, 'no longer leading');
  }

  /** Work that ends by itself ends the term, too: another candidate may fare better. */
  async #lead(term: AbortController): Promise<void> {
    try {
      await this.#options.lead(term.signal);
    } catch (error) {
      this.#log.error({ error: errorMessage(error) }, "the leader's work failed");
    } finally {
      term.abort();
    }
  }

  /** Returns when the lease could not be renewed in time, or `signal` aborts. */
  async #renew(acquiredAt: number, signal: AbortSignal): Promise<void> {
    let renewedAt = acquiredAt;
    while (!signal.aborted) {
      await sleep(this.#clock, this.#retryPeriodMs, signal);
      if (signal.aborted) return;
      const started = this.#clock.now();
      const left = renewedAt + this.#renewDeadlineMs - started;
      if (left <= 0) return;
      if (await this.#within(left, this.#tryHold(), signal)) renewedAt = started;
    }
  }

  /** False when the call has not ended after `ms`: a server that hangs must not make two leaders. */
  async #within(ms: number, call: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
    const expiry = new AbortController();
    const expired = sleep(this.#clock, ms, AbortSignal.any([signal, expiry.signal])).then(() => false);
    const held = await Promise.race([call, expired]);
    expiry.abort();
    return held;
  }

  /** Takes or renews the lease. False when another one holds it, or the server can not be asked. */
  async #tryHold(): Promise<boolean> {
    try {
      const lease = await this.#read();
      if (lease === undefined) {
        await this.#client.create(resources.leases, this.#heldLease(undefined));
        return true;
      }
      this.#observe(lease);
      if (this.#isHeldByAnother(lease)) return false;
      await this.#client.replace(resources.leases, this.#heldLease(lease));
      return true;
    } catch (error) {
      this.#log.debug({ lease: this.#options.name, error: errorMessage(error) }, 'the lease was not taken');
      return false;
    }
  }

  async #read(): Promise<Lease | undefined> {
    try {
      return await this.#client.get(resources.leases, this.#options.namespace, this.#options.name);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  }

  #observe(lease: Lease): void {
    const version = lease.metadata?.resourceVersion;
    if (version === this.#observedVersion) return;
    this.#observedVersion = version;
    this.#observedAt = this.#clock.now();
  }

  #isHeldByAnother(lease: Lease): boolean {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === '' || holder === this.#options.identity) return false;
    const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#observedAt + durationMs > this.#clock.now();
  }

  #heldLease(old: Lease | undefined): Lease {
    const now = microTime(this.#clock.wallNow());
    const mine = old?.spec?.holderIdentity === this.#options.identity;
    const transitions = old?.spec?.leaseTransitions ?? 0;
    return {
      ...old,
      metadata: {
        ...old?.metadata,
        name: this.#options.name,
        namespace: this.#options.namespace,
        labels: { ...old?.metadata?.labels, ...ownLabels },
      },
      spec: {
        holderIdentity: this.#options.identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: mine ? (old.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: mine || old === undefined ? transitions : transitions + 1,
      },
    };
  }

  /** What is not done in time is not done later either: the lease may be this one's again by then. */
  async #releaseInTime(): Promise<void> {
    const over = new AbortController();
    const expired = sleep(this.#clock, RELEASE_MS, over.signal);
    await Promise.race([this.#release(over.signal), expired]);
    over.abort();
  }

  /** @param over aborts when nobody waits for it any more */
  async #release(over: AbortSignal): Promise<void> {
    try {
      const lease = await this.#read();
      if (over.aborted || lease?.spec?.holderIdentity !== this.#options.identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await this.#client.replace(resources.leases, { ...lease, spec });
    } catch (error) {
      this.#log.warn({ error: errorMessage(error) }, 'the lease was not released; it will expire');
    }
  }
}

/** metav1.MicroTime. */
function microTime(wall: number): string {
  return new Date(wall).toISOString().replace('Z', '000Z');
}
