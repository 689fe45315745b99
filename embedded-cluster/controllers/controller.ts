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

/** A controller: what it looks at, and what it does about it. */
export interface ControllerSpec {
  name: string;
  sources: readonly Source[];
  /** Brings the world to what `key` asks for. May ask to be called again after so many ms. Throws to be retried with back-off. */
  reconcile(key: string): Promise<{ againAfterMs: number } | undefined | void>;
}

/** A controller that runs. */
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
 * Runs a level-triggered controller: one reconcile at a time, a key that changes while it waits is looked at once, a key
 * that fails is retried with exponential back-off and jitter until it succeeds.
 */
export function runController(context: ControllerContext, spec: ControllerSpec): RunningController {
  return new Controller(context, spec);
}

class Controller implements RunningController {
  readonly #context: ControllerContext;
  readonly #spec: ControllerSpec;
  readonly #queue = new Set<string>();
  /** Failures in a row, by key. */
  readonly #failures = new Map<string, number>();
  /** What cancels a later look, by key. */
  readonly #later = new Map<string, () => void>();
  readonly #watches: readonly { close(): void }[];
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(context: ControllerContext, spec: ControllerSpec) {
    this.#context = context;
    this.#spec = spec;
    this.#watches = spec.sources.map((source) => this.#follow(source));
  }

  enqueue(key: string): void {
    if (this.#stopped) return;
    this.#queue.add(key);
    this.#running ??= this.#drain();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const watch of this.#watches) watch.close();
    for (const cancel of this.#later.values()) cancel();
    await this.#running;
  }

  #follow(source: Source): { close(): void } {
    const { client } = this.#context;
    const { resource, options } = source;
    const look = (object: StoredObject): void => {
      for (const key of source.keys(object)) this.enqueue(key);
    };
    const { items, resourceVersion } = client.list(resource, options);
    for (const item of items) look(item);
    return client.watch(resource, { ...options, resourceVersion }, (event) => {
      if (event.type !== 'BOOKMARK') look(event.object);
    });
  }

  async #drain(): Promise<void> {
    // Watch handlers run inside somebody's write: never reconcile in there.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    for (const key of this.#queue) {
      if (this.#stopped) break;
      this.#queue.delete(key);
      await this.#look(key);
    }
    this.#running = undefined;
  }

  async #look(key: string): Promise<void> {
    try {
      const again = await this.#spec.reconcile(key);
      this.#failures.delete(key);
      if (again !== undefined) this.#enqueueAfter(key, again.againAfterMs);
    } catch (error) {
      this.#retry(key, error);
    }
  }

  #retry(key: string, error: unknown): void {
    const count = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, count);
    const delay = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (count - 1)) * (0.5 + Math.random() / 2);
    // A conflict only says that somebody else wrote first: the next look settles it.
    const level = error instanceof ApiError && error.code === 409 ? 'debug' : 'warn';
    this.#context.logger[level](
      { controller: this.#spec.name, key, error: errorText(error), retryMs: Math.round(delay) },
      'reconcile failed',
    );
    this.#enqueueAfter(key, delay);
  }

  #enqueueAfter(key: string, ms: number): void {
    this.#later.get(key)?.();
    if (this.#stopped) return;
    const cancel = this.#context.clock.after(ms, () => {
      this.#later.delete(key);
      this.enqueue(key);
    });
    this.#later.set(key, cancel);
  }
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

/** The message of an error; the text of whatever else was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
