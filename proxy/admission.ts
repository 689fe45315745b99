import { descriptorLimit } from '../log/index.ts';
import type { Logger } from '../workload-identity/index.ts';
import { descriptorOf } from './detect/original-destination.ts';
import type { Counter, Family } from './telemetry/registry.ts';
import type { Connection } from './transport/tcp-connection.ts';

/**
 * Share of the process's descriptors up to which connections are accepted: those that stand need an app's or a peer's
 * connection each, and probes and metrics must be answered.
 */
const ACCEPTED_SHARE = 0.75;
/**
 * Share of the places of a listener, and of the process, that are its last ones. At a gateway who comes then finds a
 * place if another gives way, or if it is of those who must be answered also by a process that is full; as many may
 * come while the first that has to go is on its way out. A sidecar only tells that they are being taken: nothing gives
 * way there.
 */
const LAST_SHARE = 0.02;
/** At least so many: half of them are for handshakes, and one that has just begun is not to end as soon as the next comes. */
const LEAST_LAST = 4;
/** ms between two lines about the same lack. */
const TELL_EVERY_MS = 60_000;

/** Where a connection has been taken in: `last`: little is left. `of`: so many last places there are. */
export type Place = { readonly kind: 'free' } | { readonly kind: 'last'; readonly of: number };

/** There is room enough. */
export const FREE: Place = { kind: 'free' };

/** Why there is no room: label `reason`. */
type Lack = 'too-many-connections' | 'too-few-descriptors';

/** What the log tells. `few-places`: there is room, but little. */
type Told = Lack | 'few-places';

const WHAT: Readonly<Record<Told, string>> = {
  'too-many-connections': 'connections are closed as they come: as many are open as the proxy takes',
  'too-few-descriptors':
    'connections are closed as they come: the process may open too few files, raise its limit (ulimit -n)',
  'few-places': 'nearly as many connections are open as the proxy takes: what comes beyond that is closed',
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
 * Turns away the connections for which there is no room: each is counted, and a line a minute tells. Without it the
 * runtime accepts until it has no descriptor left, closes what comes then without a word, and the app's side, metrics
 * and probes fail with the same lack.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  /** From this number on a descriptor is one too many. */
  #full: number | undefined = undefined;
  readonly #toldAt = new Map<Told, number>();

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
    const { maxConnections } = this.#options;
    const [last, lastOfProcess] = [lastOf(maxConnections), lastOf(this.#full)];
    // Where descriptors are without limit, the difference is no number, and nothing is above it.
    if (open > maxConnections - last || taken > this.#full - lastOfProcess) {
      this.#tell('few-places');
      return { kind: 'last', of: Math.min(last, lastOfProcess) };
    }
    return FREE;
  }

  /** The listener has closed one beyond its number. */
  readonly dropped = (): void => this.#turnedAway('too-many-connections');

  #turnedAway(reason: Lack): void {
    this.#options.refused.cell({ reason }).add();
    this.#tell(reason);
  }

  #tell(reason: Told): void {
    const { log, now } = this.#options;
    const toldAt = this.#toldAt.get(reason);
    if (toldAt !== undefined && now() - toldAt < TELL_EVERY_MS) return;
    this.#toldAt.set(reason, now());
    log.warn({ reason }, WHAT[reason]);
  }
}

function lastOf(places: number): number {
  return Math.max(LEAST_LAST, Math.ceil(places * LAST_SHARE));
}
