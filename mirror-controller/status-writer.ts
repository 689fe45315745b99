import { isDeepStrictEqual } from 'node:util';
import type { Link } from '../api/isthmus-types.ts';
import type { Condition } from '../api/kubernetes-types.ts';
import { component } from '../api/names.ts';
import type { Clock, Timer } from '../kubernetes/clock.ts';
import { setCondition } from '../kubernetes/conditions.ts';
import type { NewCondition } from '../kubernetes/conditions.ts';
import { errorMessage } from '../kubernetes/log.ts';
import type { Log } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { KubernetesError } from '../kubernetes/types.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';

type LinkStatus = NonNullable<Link['status']>;

/** What a Link's status should say. */
export interface DesiredStatus {
  conditions: NewCondition[];
  /** Undefined while there is no gateway to reach. */
  gateway: { addresses: readonly string[]; port: number } | undefined;
  mirrorServices: NonNullable<LinkStatus['mirrorServices']>;
  /** Ride along with other changes, or are written once a minute. */
  latencyMs: number | undefined;
  lastSyncTime: string | undefined;
}

export interface StatusWriterOptions {
  client: KubernetesClient;
  namespace: string;
  name: string;
  /** The status as it stands. */
  present: LinkStatus | undefined;
  /** Asked when a write is due. */
  desired: () => DesiredStatus;
  clock: Clock;
  logger: Log;
  /** Milliseconds between two writes at least. Default a second. */
  minIntervalMs?: number | undefined;
}

/** Least time between two writes of one Link's status, where nobody says otherwise. */
const MIN_INTERVAL_MS = 1000;
/** Changes that come together are one write. */
const GATHER_MS = 100;
/** After a failed write. */
const RETRY_MS = 5000;
/** How old the values may get that change all the time. */
const REFRESH_MS = 60_000;

/** Writes one Link's status: at most once an interval, one write for a set of changes, none where nothing changed. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  #conditions: readonly Condition[];
  #written: LinkStatus | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #stopped = false;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#conditions = options.present?.conditions ?? [];
    this.#written = options.present;
  }

  /** Something may have changed. */
  touch(): void {
    const { clock, minIntervalMs = MIN_INTERVAL_MS } = this.#options;
    const since = clock.now() - this.#writtenAt;
    this.#arm(Math.max(GATHER_MS, minIntervalMs - since));
  }

  /** No write begins after this; resolves when none is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#writing;
  }

  #arm(ms: number): void {
    if (this.#stopped) return;
    this.#timer ??= this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      if (this.#writing === undefined) {
        // Cleared behind the promise, not inside #write: where nothing differs that ends before its promise is kept here.
        this.#writing = this.#write().finally(() => {
          this.#writing = undefined;
        });
      } else this.touch();
    });
  }

  async #write(): Promise<void> {
    const { client, namespace, name, clock, logger } = this.#options;
    const next = this.#next();
    try {
      if (this.#differs(next)) {
        const write = { fieldManager: component.mirrorController, subresource: 'status' };
        await client.mergePatch(resources.links, namespace, name, { status: next }, write);
        this.#written = next;
        this.#writtenAt = clock.now();
      }
    } catch (error) {
      // A Link that has gone needs no status.
      if (!(error instanceof KubernetesError && error.code === 404)) {
        logger.warn({ link: name, error: errorMessage(error) }, "the Link's status could not be written");
        this.#arm(RETRY_MS);
      }
    }
  }

  #next(): LinkStatus {
    const { desired, clock } = this.#options;
    const { conditions, gateway, mirrorServices, latencyMs, lastSyncTime } = desired();
    for (const condition of conditions)
      this.#conditions = setCondition(this.#conditions, condition, clock.wallNow());
    return {
      conditions: [...this.#conditions],
      gateway: {
        addresses: [...(gateway?.addresses ?? [])],
        ...(gateway === undefined ? {} : { port: gateway.port }),
        ...(latencyMs === undefined ? {} : { latencyMs }),
      },
      mirrorServices,
      ...(lastSyncTime === undefined ? {} : { lastSyncTime }),
    };
  }

  #differs(next: LinkStatus): boolean {
    const { clock } = this.#options;
    const stale = clock.now() - this.#writtenAt >= REFRESH_MS;
    return stale
      ? !isDeepStrictEqual(next, this.#written)
      : !isDeepStrictEqual(lasting(next), lasting(this.#written));
  }
}

/** A status without the values that change all the time. */
function lasting(status: LinkStatus | undefined): unknown {
  const { addresses = [], port } = status?.gateway ?? {};
  return [status?.conditions ?? [], addresses, port, status?.mirrorServices ?? []];
}
