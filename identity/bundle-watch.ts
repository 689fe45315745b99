import type { X509Certificate } from 'node:crypto';
import type { TrustBundle } from '../api/isthmus-types.ts';
import { object } from '../api/names.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import type { Reflector } from '../kubernetes/reflector.ts';
import { parseAnchors } from '../workload-identity/index.ts';

/** The anchors as they are streamed. Immutable. */
export interface Bundle {
  sequence: bigint;
  anchors: readonly X509Certificate[];
  /** `metadata.generation` of the TrustBundle. */
  generation: number;
}

/** Follows the TrustBundle. One that cannot be used leaves the former in use, and is told. */
export class BundleWatch {
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  #current: Bundle | undefined;
  #rejected: string | undefined;

  constructor(bundles: Reflector<TrustBundle>, log: Log) {
    this.#log = log;
    const look = (bundle: TrustBundle): void => this.#look(bundle);
    bundles.subscribe({ add: look, update: look });
  }

  get current(): Bundle | undefined {
    return this.#current;
  }

  /** Why the object's present content is not used. */
  get rejected(): string | undefined {
    return this.#rejected;
  }

  /** Calls back after each change of the anchors. Returns the unsubscriber. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #look(bundle: TrustBundle): void {
    if (bundle.metadata?.name !== object.trustBundle) return;
    const sequence = sequenceOf(bundle);
    if (sequence === this.#current?.sequence) return;
    try {
      const anchors = parseAnchors(bundle.spec.anchors);
      this.#current = { sequence, anchors, generation: bundle.metadata.generation ?? 1 };
      this.#rejected = undefined;
    } catch (error) {
      this.#reject(errorMessage(error));
      return;
    }
    this.#log.info(
      { sequence: Number(sequence), anchors: this.#current.anchors.length },
      'the trust bundle is in use',
    );
    for (const listener of this.#listeners) listener();
  }

  #reject(reason: string): void {
    if (reason === this.#rejected) return;
    this.#rejected = reason;
    this.#log.error({ error: reason }, 'the TrustBundle is not usable; the former stays in use');
  }
}

/**
 * The sequence number of a TrustBundle: seconds of its creation plus its generation. So it grows with each change of the anchors, is the same for every
 * replica and after a restart, and an object that was deleted and made anew goes on above where the former ended.
 */
export function sequenceOf(bundle: TrustBundle): bigint {
  const created = Math.floor(Date.parse(bundle.metadata?.creationTimestamp ?? '') / 1000);
  return BigInt((Number.isNaN(created) ? 0 : created) + (bundle.metadata?.generation ?? 1));
}
