import { Counter, type Registry } from 'prom-client';
import type { Clock } from '../kubernetes/clock.ts';
import type { Log } from '../kubernetes/log.ts';

/** The ports of the mesh, as metrics and log call them. */
export const SERVED = ['identity', 'destination', 'policy'] as const;
export type Served = (typeof SERVED)[number];

/**
 * Descriptors that connections of the mesh leave to the rest: webhooks (256), admin port (64), and what reads the API
 * and the process's own token. A control plane without them would fail its probes and be killed.
 */
const LEFT_TO_OTHERS = 512;
/**
 * Of those, what requests for certificates may take, which come by a connection each and end with their answer: proxies'
 * streams that stay for good must not keep leaves from being renewed.
 */
const KEPT_FOR_IDENTITY = 128;
/** Where the process may open little more than that, the mesh has this share. */
const LEAST_SHARE = 0.5;
/** ms between two lines about the same lack. */
const TELL_EVERY_MS = 60_000;

/** Why a connection was not taken: label `reason`, as proxies have it. */
const WHY = {
  'too-many-connections': 'connections are closed as they come: as many are open as a port takes',
  'too-few-descriptors':
    'connections are closed as they come: the process may open too few files, raise its limit (ulimit -n)',
} as const;
export type Refusal = keyof typeof WHY;

export interface PlacesOptions {
  /** File descriptors that the process may have open. */
  descriptors: number;
  registry: Registry;
  clock: Pick<Clock, 'now'>;
  log: Log;
}

/** What connections of the mesh may take of the process. Who is not taken in is counted, and a line a minute tells. */
export class Places {
  readonly #most: number;
  readonly #keptForIdentity: number;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #log: Log;
  readonly #refused: Counter<'service' | 'reason'>;
  readonly #toldAt = new Map<Refusal, number>();
  #taken = 0;

  constructor({ descriptors, registry, clock, log }: PlacesOptions) {
    this.#most = Math.max(descriptors - LEFT_TO_OTHERS, descriptors * LEAST_SHARE);
    const share = KEPT_FOR_IDENTITY / LEFT_TO_OTHERS;
    this.#keptForIdentity = Math.floor(Math.min(LEFT_TO_OTHERS, descriptors * LEAST_SHARE) * share);
    this.#clock = clock;
    this.#log = log;
    this.#refused = new Counter({
      name: 'isthmus_control_plane_connections_refused_total',
      help: 'Connections of proxies that were closed as they came.',
      labelNames: ['service', 'reason'],
      registers: [registry],
    });
    for (const service of SERVED) {
      for (const reason of Object.keys(WHY)) this.#refused.inc({ service, reason }, 0);
    }
  }

  /** Takes a place, which `leave` gives back. False: there is none, and the connection has to be closed. */
  take(service: Served): boolean {
    const most = service === 'identity' ? this.#most + this.#keptForIdentity : this.#most;
    if (this.#taken + 1 > most) {
      this.refuse(service, 'too-few-descriptors');
      return false;
    }
    this.#taken++;
    return true;
  }

  leave(): void {
    this.#taken--;
  }

  /** A connection was closed as it came: counted and told. */
  refuse(service: Served, reason: Refusal): void {
    this.#refused.inc({ service, reason });
    const now = this.#clock.now();
    const toldAt = this.#toldAt.get(reason);
    if (toldAt !== undefined && now - toldAt < TELL_EVERY_MS) return;
    this.#toldAt.set(reason, now);
    this.#log.warn({ service, reason }, WHY[reason]);
  }
}
