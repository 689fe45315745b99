import { setTimeout as delay } from 'node:timers/promises';

/** How long and how often something is looked at, in ms. */
export interface Patience {
  /** A broken wait should fail by saying what it waited for, not by the runner's time-out. */
  limitMs: number;
  everyMs: number;
}

/** Looks until `probe` answers something other than undefined or false, and answers that. A probe that throws is tried again; the last error is told. */
export async function becomes<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  { limitMs, everyMs }: Patience,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`waited in vain for ${what}${why}`, last === undefined ? {} : { cause: last });
    }
    await delay(everyMs);
  }
}
