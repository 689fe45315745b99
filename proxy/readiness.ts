import type { WorkloadIdentity } from '../workload-identity/index.ts';

/** Whether a process of the data plane may be sent work: it has an identity and what else it needs, and is not draining. */
export class Readiness {
  readonly #identity: WorkloadIdentity;
  readonly #missing: () => string | undefined;
  #draining = false;

  /** @param missing what it lacks beside an identity; undefined: nothing */
  constructor(identity: WorkloadIdentity, missing: () => string | undefined = () => undefined) {
    this.#identity = identity;
    this.#missing = missing;
  }

  /** Why it is not ready; undefined: it is. */
  readonly unready = (): string | undefined => {
    if (this.#draining) return 'draining';
    if (this.#identity.state.kind !== 'certified') return 'the identity is not certified';
    return this.#missing();
  };

  /** From now on it is not ready, for good. */
  drain(): void {
    this.#draining = true;
  }
}
