import type { Logger } from '../workload-identity/index.ts';
import { descriptorOf } from './detect/original-destination.ts';
import { descriptorLimit } from './telemetry/process-metrics.ts';
import type { Counter, Family } from './telemetry/registry.ts';
import type { Connection } from './transport/tcp-connection.ts';

/** Share of the process's descriptors up to which connections are accepted: those that stand need an app's or a peer's connection each, and probes and metrics must be answered. */
const ACCEPTED_SHARE = 0.75;
/** ms between two lines about the same lack. */
const TELL_EVERY_MS = 60_000;

/** Why there is no room: label `reason`. */
type Lack = 'too-many-connections' | 'too-few-descriptors';

const WHAT: Readonly<Record<Lack, string>> = {
  'too-many-connections': 'connections are closed as they come: as many are open as the proxy takes',
  'too-few-descriptors':
    'connections are closed as they come: the process may open too few files, raise its limit (ulimit -n)',
};

export interface AdmissionOptions {
  refused: Family<Counter>;
  log: Logger;
  /** ms, monotonic. */
  now: () => number;
  /** Descriptors that the process may have open. Default: as the kernel says, asked at the first connection. */
  limit?: () => number;
}

/**
 * Turns away the connections for which there is no room: each is counted, and a line a minute tells. Without it the runtime accepts until it has no descriptor left, closes what comes
 * then without a word, and the app's side, metrics and probes fail with the same lack.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  /** From this number on a descriptor is one too many. */
  #full: number | undefined = undefined;
  readonly #toldAt = new Map<Lack, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Whether the process has room for a connection that it has accepted; else it is closed. */
  admits(connection: Connection): boolean {
    this.#full ??= (this.#options.limit ?? descriptorLimit)() * ACCEPTED_SHARE;
    // The kernel gives the lowest number that is free, so a high one says how many are taken.
    if (descriptorOf(connection) < this.#full) return true;
    connection.destroy();
    this.#turnedAway('too-few-descriptors');
    return false;
  }

  /** The listener has closed one beyond its number. */
  readonly dropped = (): void => this.#turnedAway('too-many-connections');

  #turnedAway(reason: Lack): void {
    const { refused, log, now } = this.#options;
    refused.cell({ reason }).add();
    const toldAt = this.#toldAt.get(reason);
    if (toldAt !== undefined && now() - toldAt < TELL_EVERY_MS) return;
    this.#toldAt.set(reason, now());
    log.warn({ reason }, WHAT[reason]);
  }
}
