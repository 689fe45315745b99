import { X509Certificate, type KeyObject } from 'node:crypto';
import type { Certifier, IssuedCertificate } from './certify-client.ts';
import { type BackOff, type Clock, createBackOff, type Timer } from './clock.ts';
import { writeCsr } from './der-csr.ts';
import {
  type IdentityState,
  type LeafCertificate,
  type Logger,
  type PeerIdentity,
  VerifyError,
} from './types.ts';

/** Share of a leaf's life after which it is renewed; Linkerd's. */
export const RENEW_AT_SHARE = 0.7;
/** ms; keeps a leaf with a very short life from being renewed without pause. */
const RENEW_MIN_MS = 10_000;
/** ms between looks at the wall clock: timers stop while a laptop sleeps, and jump when a clock is set. */
export const CHECK_PERIOD_MS = 30_000;
/**
 * ms between failed attempts, and how they grow: a pod that started before its control plane goes on by a quarter of
 * the time later that it has waited, not by as much again. A name that is not known yet and a refused connection cost
 * little, and after ten seconds of them a pod tries no more often than every two.
 */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 3_000;
const RETRY_GROWTH = 1.25;
/**
 * ms between certificates that were issued and cannot be used, as where this machine's clock is wrong: each costs the
 * service a TokenReview and a signature, and the next one is likely to be no better. Changed anchors are tried at once.
 */
const REFUSED_MIN_MS = 1_000;
const REFUSED_MAX_MS = 60_000;

/** Gets the first certificate and renews it. The only writer of `state`. */
export class CertificateManager {
  readonly #options: CertificateManagerOptions;
  readonly #backOff: BackOff;
  readonly #refusedBackOff: BackOff;
  #state: IdentityState = { kind: 'waiting', attempts: 0, lastError: undefined };
  /** The certificate in use, parsed. */
  #leaf: X509Certificate | undefined;
  #requesting = false;
  #retry: Timer | undefined;
  #refreshes = 0;

  constructor(options: CertificateManagerOptions) {
    this.#options = options;
    this.#backOff = createBackOff(RETRY_MIN_MS, RETRY_MAX_MS, options.random, RETRY_GROWTH);
    this.#refusedBackOff = createBackOff(REFUSED_MIN_MS, REFUSED_MAX_MS, options.random);
  }

  get state(): IdentityState {
    return this.#state;
  }

  /** Certificates that were got since the start. */
  get refreshes(): number {
    return this.#refreshes;
  }

  /** Compares the clock with what is held, and starts a request where one is due. Called at start and at least every `CHECK_PERIOD_MS`. */
  check(): void {
    const now = this.#options.clock.now();
    if (this.#state.kind === 'certified' && now > this.#state.certificate.validUntil) {
      const { certificate, lastError } = this.#state;
      this.#options.logger.error(
        { validUntil: isoTime(certificate.validUntil) },
        'the certificate has expired',
      );
      this.#set({ kind: 'expired', certificate, attempts: 0, lastError });
    }
    if (this.#due(now) && this.#retry === undefined) void this.#request();
  }

  /** What was refused may be acceptable now, and what is held may not be. */
  anchorsChanged(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#refusedBackOff.reset();
    this.check();
  }

  renew(): void {
    if (this.#state.kind === 'stopped') return;
    this.#retry?.cancel();
    this.#retry = undefined;
    void this.#request();
  }

  stop(): void {
    this.#retry?.cancel();
    this.#set({ kind: 'stopped' });
  }

  #due(now: number): boolean {
    switch (this.#state.kind) {
      case 'waiting':
      case 'expired':
        return true;
      case 'certified':
        return now >= this.#state.renewAt || this.#isDoubtful(this.#state.certificate, now);
      default:
        return false;
    }
  }

  /**
   * Whether a certificate must be replaced before its time: the clock was set back to before its issue, so that moment
   * is not to be trusted; or the anchors have changed and peers would refuse it.
   */
  #isDoubtful(certificate: LeafCertificate, now: number): boolean {
    if (now < certificate.issuedAt - CHECK_PERIOD_MS) return true;
    if (this.#leaf === undefined) return true;
    return this.#options.verify(this.#leaf, certificate.intermediates) instanceof VerifyError;
  }

  /** Never rejects. */
  async #request(): Promise<void> {
    if (this.#requesting || !this.#options.trustReady()) return;
    this.#requesting = true;
    let backOff = this.#backOff;
    try {
      const { identity, keys, certifier } = this.#options;
      const issued = await certifier({ identity, csr: writeCsr(keys, identity) });
      backOff = this.#refusedBackOff;
      this.#accept(issued);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error), backOff.next());
    } finally {
      this.#requesting = false;
    }
  }

  #accept(issued: IssuedCertificate): void {
    if (this.#state.kind === 'stopped') return;
    const { leaf, notAfter } = this.#checkOwn(issued);
    this.#leaf = leaf;
    const now = this.#options.clock.now();
    // Peers go by the chain, whatever the service says.
    const validUntil = Math.min(issued.validUntil, notAfter);
    const certificate: LeafCertificate = { ...issued, validUntil, issuedAt: now };
    const renewAt = now + Math.max((validUntil - now) * RENEW_AT_SHARE, RENEW_MIN_MS);
    this.#backOff.reset();
    this.#refusedBackOff.reset();
    this.#refreshes++;
    this.#options.logger.info(
      { identity: this.#options.identity, validUntil: isoTime(validUntil), renewAt: isoTime(renewAt) },
      'certified',
    );
    this.#set({ kind: 'certified', certificate, renewAt, lastError: undefined });
  }

  /** A certificate that peers would refuse, or that speaks for someone else, must not replace one that works. */
  #checkOwn(issued: IssuedCertificate): { leaf: X509Certificate; notAfter: number } {
    const leaf = new X509Certificate(issued.leaf);
    if (!leaf.checkPrivateKey(this.#options.keys.privateKey)) {
      throw new Error('the identity service answered with a certificate for another key');
    }
    const judged = this.#options.verify(leaf, issued.intermediates);
    if (judged instanceof VerifyError) {
      throw new Error(`the certificate from the identity service is not acceptable: ${judged.message}`, {
        cause: judged,
      });
    }
    if (judged.dnsName !== this.#options.identity) {
      throw new Error(`the identity service answered with a certificate for ${judged.dnsName}`);
    }
    if (judged.spiffeId !== undefined && judged.spiffeId !== this.#options.spiffeId) {
      throw new Error(
        `the identity service answered with a certificate for ${judged.spiffeId}; this workload is ${this.#options.spiffeId}`,
      );
    }
    return { leaf, notAfter: judged.notAfter };
  }

  /** @param delay ms until the next attempt */
  #failed(message: string, delay: number): void {
    if (this.#state.kind === 'stopped') return;
    this.#options.logger.warn(
      { error: message, retryInMs: Math.round(delay) },
      'no certificate from the identity service',
    );
    this.#set(
      this.#state.kind === 'certified'
        ? { ...this.#state, lastError: message }
        : { ...this.#state, attempts: this.#state.attempts + 1, lastError: message },
    );
    this.#retry = this.#options.clock.after(delay, () => {
      this.#retry = undefined;
      this.check();
    });
  }

  #set(state: IdentityState): void {
    this.#state = state;
    this.#options.changed();
  }
}

export interface CertificateManagerOptions {
  /** Own DNS identity and SPIFFE ID. */
  identity: string;
  spiffeId: string;
  keys: { publicKey: KeyObject; privateKey: KeyObject };
  certifier: Certifier;
  /** Whether there are anchors: without them no answer could be believed. */
  trustReady: () => boolean;
  verify: (leaf: X509Certificate, intermediates: readonly Uint8Array[]) => PeerIdentity | VerifyError;
  logger: Logger;
  clock: Clock;
  random?: (() => number) | undefined;
  changed: () => void;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
