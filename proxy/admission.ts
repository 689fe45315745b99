import type { Logger } from '../workload-identity/index.ts';
import { descriptorOf } from './detect/original-destination.ts';
import { descriptorLimit } from './telemetry/process-metrics.ts';
import type { Counter, Family } from './telemetry/registry.ts';
import type { Connection } from './transport/tcp-connection.ts';

/** Share of the process's descriptors up to which connections are accepted: those that stand need an app's or a peer's connection each, and probes and metrics must be answered. */
const ACCEPTED_SHARE = 0.75;
/**
 * Share of the places of a listener, and of the process, that are its last ones: who comes then finds a place if another gives way, or if it is of those who must be answered also by a process that is full.
 * As many may come while the first that has to go is on its way out.
 */
const LAST_SHARE = 0.02;
/** At least so many: one is taken by a handshake that comes to nothing, while another is for whom they are there for. */
const LEAST_LAST = 2;
/** ms between two lines about the same lack. */
const TELL_EVERY_MS = 60_000;

/** Where a connection has been taken in: `last`: little is left. */
export type Place = 'free' | 'last';

/** Why there is no room: label `reason`. `few-places`: there is, but little. */
type Lack = 'too-many-connections' | 'too-few-descriptors' | 'few-places';

const WHAT: Readonly<Record<Lack, string>> = {
  'too-many-connections': 'connections are closed as they come: as many are open as the proxy takes',
  'too-few-descriptors':
    'connections are closed as they come: the process may open too few files, raise its limit (ulimit -n)',
  'few-places': 'nearly as many connections are open as the proxy takes',
};

export interface AdmissionOptions {
  /** Of a listener. */
  maxConnections: number;
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

  /**
   * The place that the process has for a connection that it has accepted; undefined: none, and it is closed.
   * @param open so many the listener has open, this one included
   */
  admit(connection: Connection, open: number): Place | undefined {
    this.#full ??= (this.#options.limit ?? descriptorLimit)() * ACCEPTED_SHARE;
    // The kernel gives the lowest number that is free, so a high one says how many are taken.
    const taken = descriptorOf(connection) + 1;
    if (taken > this.#full) {
      connection.destroy();
      this.#turnedAway('too-few-descriptors');
      return undefined;
    }
    if (open <= beforeTheLast(this.#options.maxConnections) && taken <= beforeTheLast(this.#full)) {
      return 'free';
    }
    this.#tell('few-places');
    return 'last';
  }

  /** The listener has closed one beyond its number. */
  readonly dropped = (): void => this.#turnedAway('too-many-connections');

  #turnedAway(reason: Lack): void {
    this.#options.refused.cell({ reason }).add();
    this.#tell(reason);
  }

  #tell(reason: Lack): void {
    const { log, now } = this.#options;
    const toldAt = this.#toldAt.get(reason);
    if (toldAt !== undefined && now() - toldAt < TELL_EVERY_MS) return;
    this.#toldAt.set(reason, now());
    log.warn({ reason }, WHAT[reason]);
  }
}

function beforeTheLast(places: number): number {
  return Math.min(places - LEAST_LAST, Math.floor(places * (1 - LAST_SHARE)));
}
