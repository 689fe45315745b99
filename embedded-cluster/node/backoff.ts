/** Kubelet's numbers: crashed containers and failed image pulls alike. */
const FIRST_BACKOFF_MS = 10_000;
export const LONGEST_BACKOFF_MS = 300_000;
/** A container that ran this long after its last restart begins anew. */
export const BACKOFF_RESET_MS = 2 * LONGEST_BACKOFF_MS;

/**
 * The wait between restarts of one container, as a kubelet counts it: the first restart comes at once, then 10 s doubling to 5 min, counted from
 * the end of the last run.
 */
export class RestartBackoff {
  #waitMs = 0;
  #lastRestart = 0;

  /** ms until a container that ended at `finishedAt` may be started again; 0 for at once. */
  remaining(finishedAt: number, now: number): number {
    if (this.#expired(finishedAt)) return 0;
    return Math.max(0, finishedAt + this.#waitMs - now);
  }

  /** The wait that applies now, in ms: what the status message names. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** To be called when the container that ended at `finishedAt` is started again. */
  restarted(finishedAt: number, now: number): void {
    this.#waitMs =
      this.#waitMs === 0 || this.#expired(finishedAt)
        ? FIRST_BACKOFF_MS
        : Math.min(LONGEST_BACKOFF_MS, this.#waitMs * 2);
    this.#lastRestart = now;
  }

  #expired(finishedAt: number): boolean {
    return finishedAt - this.#lastRestart > BACKOFF_RESET_MS;
  }
}

/** `10s`, `2m40s`: as Go prints a duration of whole seconds. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}
