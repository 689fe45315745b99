import type { JsonLog } from '../../log/index.ts';
import type { Clock } from '../clock.ts';
import type { EventRecorder } from '../events.ts';
import { ApiError } from '../types.ts';
import type { ListOptions, LoopbackClient, StoredObject } from '../types.ts';

/** What every controller is given. */
export interface ControllerContext {
  client: LoopbackClient;
  clock: Clock;
  events: EventRecorder;
  logger: JsonLog;
}

/** A kind that a controller watches, and the keys that a change of one of its objects makes it look at again. */
export interface Source {
  resource: string;
  options?: ListOptions;
  keys(object: StoredObject): readonly string[];
}

export interface ControllerSpec {
  name: string;
  sources: readonly Source[];
  /** Brings the world to what `key` asks for. May ask to be called again after so many ms. Throws to be retried with back-off. */
  reconcile(key: string): Promise<{ againAfterMs: number } | undefined | void>;
}

export interface RunningController {
  /** Looks at a key again, as if something had changed. */
  enqueue(key: string): void;
  /** Ends watches and timers; resolves when a reconcile that is running has ended. */
  stop(): Promise<void>;
}

/** Back-off of a key that fails: client-go's controllers start at 5 ms; one process needs no less than this, and no more than a minute to be noticed. */
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 60_000;

/**
 * Runs a level-triggered controller: one reconcile at a time, a key that changes while it waits is looked at once, a key that fails is retried with
 * exponential back-off and jitter until it succeeds.
 */
export function runController(context: ControllerContext, spec: ControllerSpec): RunningController {
  const { client, clock } = context;
  const queue = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, () => void>();
  let running: Promise<void> | undefined;
  let stopped = false;

  const enqueue = (key: string): void => {
    if (stopped) return;
    queue.add(key);
    running ??= drain();
  };

  const enqueueAfter = (key: string, ms: number): void => {
    timers.get(key)?.();
    if (stopped) return;
    const cancel = clock.after(ms, () => {
      timers.delete(key);
      enqueue(key);
    });
    timers.set(key, cancel);
  };

  const one = async (key: string): Promise<void> => {
    try {
      const again = await spec.reconcile(key);
      failures.delete(key);
      if (again !== undefined) enqueueAfter(key, again.againAfterMs);
    } catch (error) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (count - 1)) * (0.5 + Math.random() / 2);
      // A conflict only says that somebody else wrote first: the next look settles it.
      const level = error instanceof ApiError && error.code === 409 ? 'debug' : 'warn';
      const retryMs = Math.round(delay);
      context.logger[level](
        { controller: spec.name, key, error: errorText(error), retryMs },
        'reconcile failed',
      );
      enqueueAfter(key, delay);
    }
  };

  const drain = async (): Promise<void> => {
    // Watch handlers run inside somebody's write: never reconcile in there.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    for (const key of queue) {
      if (stopped) break;
      queue.delete(key);
      await one(key);
    }
    running = undefined;
  };

  const watches = spec.sources.map((source) => {
    const { items, resourceVersion } = client.list(source.resource, source.options);
    for (const item of items) for (const key of source.keys(item)) enqueue(key);
    return client.watch(source.resource, { ...source.options, resourceVersion }, (event) => {
      if (event.type !== 'BOOKMARK') for (const key of source.keys(event.object)) enqueue(key);
    });
  });

  return {
    enqueue,
    async stop() {
      stopped = true;
      for (const watch of watches) watch.close();
      for (const cancel of timers.values()) cancel();
      await running;
    },
  };
}

/** Looks once at every key that the sources have now, following nothing. A key that fails is told and left to the running controller. */
export async function reconcileOnce(context: ControllerContext, spec: ControllerSpec): Promise<void> {
  const keys = spec.sources.flatMap((source) =>
    context.client.list(source.resource, source.options).items.flatMap((item) => source.keys(item)),
  );
  for (const key of new Set(keys)) {
    try {
      await spec.reconcile(key);
    } catch (error) {
      context.logger.warn({ controller: spec.name, key, error: errorText(error) }, 'reconcile failed');
    }
  }
}

/** `namespace/name`; just the name of what has no namespace. */
export function keyOf(object: StoredObject): string {
  const { namespace, name = '' } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Takes `keyOf` apart again. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: slash === -1 ? '' : key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Runs a call whose object may be gone by now, or be there already: both mean that the wish is met. */
export async function ignoring(reasons: readonly string[], call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof ApiError && reasons.includes(error.reason))) throw error;
  }
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
