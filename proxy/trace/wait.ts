import type { Clock } from '../../workload-identity/index.ts';

/** Resolves after `ms`, or when `signal` aborts; never rejects. Leaves nothing behind with a signal that lives on. */
export function wait(clock: Pick<Clock, 'after'>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
