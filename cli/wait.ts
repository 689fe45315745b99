import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from './errors.ts';

/** Between two looks at something that cannot be watched cheaply: fast enough not to be felt, slow enough not to load an API server. */
const LOOK_EVERY_MS = 150;
/** What is waited for takes seconds; a person would look for the cause after a minute. */
const DEFAULT_TIMEOUT_MS = 60_000;

/** Looks until `done` answers true. After the time-out throws a UserError that names what was waited for. */
export async function waitFor(
  what: string,
  done: () => Promise<boolean>,
  options: { timeoutMs?: number; hint?: string | (() => string); signal?: AbortSignal } = {},
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  while (!(await done())) {
    options.signal?.throwIfAborted();
    if (performance.now() > deadline) {
      const hint = typeof options.hint === 'function' ? options.hint() : options.hint;
      throw new UserError(`waited ${Math.round(timeoutMs / 1000)} s for ${what}`, hint);
    }
    await delay(LOOK_EVERY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}
