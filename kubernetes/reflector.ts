import type { KubernetesObject } from '../api/kubernetes-types.ts';
import { backoffMs, sleep, systemClock } from './clock.ts';
import type { BackoffBounds, Clock } from './clock.ts';
import { errorMessage, silentLog } from './log.ts';
import type { Log } from './log.ts';
import { objectKey } from './object-key.ts';
import { Store } from './store.ts';
import type { ChangeHandler, IndexFunction } from './store.ts';
import { noAnswer } from './transport.ts';
import { KubernetesError } from './types.ts';
import type { KubernetesClient, ListOptions, Resource, WatchEvent } from './types.ts';
import { Watchdog } from './watchdog.ts';

/** Where a reflector stands. Times are of its clock's `now()`. */
export type ReflectorState =
  | { kind: 'idle' }
  | { kind: 'listing'; since: number }
  | { kind: 'connecting'; since: number }
  | { kind: 'watching'; since: number }
  | { kind: 'backing-off'; since: number; until: number; attempt: number; error: unknown }
  | { kind: 'stopped' };

/** Counts what a reflector does; see `createReflectorMetrics`. */
export interface ReflectorMetrics {
  listed(resource: string, result: 'ok' | 'error'): void;
  watchEnded(resource: string, reason: string): void;
  event(resource: string, type: string): void;
  objects(resource: string, count: number): void;
}

/** Settings of a reflector; all have defaults. */
export interface ReflectorOptions<T> extends ListOptions {
  /** Makes an object smaller before it is kept. managedFields and last-applied are dropped in any case. */
  transform?: (object: T) => T;
  /** Objects per page of a list. Default 500. */
  pageSize?: number;
  /** Default 500 ms to 30 s. */
  backoff?: BackoffBounds;
  /** Milliseconds without a byte until a watch counts as dead. Default 120,000: servers send a bookmark each minute. */
  idleTimeoutMs?: number;
  clock?: Clock;
  random?: () => number;
  metrics?: ReflectorMetrics;
  onState?: (state: ReflectorState) => void;
  logger?: Log;
}

/**
 * A cache of one resource that follows the server for as long as it runs: it lists in pages, watches with bookmarks, resumes where a
 * watch broke, lists again when the server has forgotten that version, and backs off with jitter. No failure ends it. While the server
 * is away it keeps what it has and says how stale that is.
 */
export interface Reflector<T extends KubernetesObject> {
  readonly state: ReflectorState;
  /** Resolves once the first list is in the cache; never rejects. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  start(): void;
  /** Ends the watch; resolves when nothing runs any more. The cache stays readable. */
  stop(): Promise<void>;
  get(key: string): T | undefined;
  list(): T[];
  addIndex(name: string, values: IndexFunction<T>): void;
  byIndex(name: string, value: string): T[];
  hasByIndex(name: string, value: string): boolean;
  /** Existing objects are told as additions at once. Returns the way out. */
  subscribe(handler: ChangeHandler<T>): () => void;
  /** Milliseconds since the server was last heard of: 0 while a watch is open, Infinity before the first answer. */
  stalenessMs(): number;
}

const DEFAULT_PAGE_SIZE = 500;
const DEFAULT_BACKOFF: BackoffBounds = { initialMs: 500, maxMs: 30_000 };
/** Servers send a bookmark about each minute; one more minute allows for a busy one. */
const DEFAULT_IDLE_TIMEOUT_MS = 120_000;
/** Watches end at different times, so that a server's clients do not all come at once. Seconds. */
const WATCH_SECONDS = { min: 240, spread: 240 };
/** A watch that lasted this long worked, even when nothing happened in it. */
const HEALTHY_WATCH_MS = 10_000;
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** A reflector for `resource`; it does nothing until `start()`. */
export function createReflector<T extends KubernetesObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  options: ReflectorOptions<T> = {},
): Reflector<T> {
  return new ListWatchReflector(client, resource, options);
}

/** How a list or a watch ended, and what that asks for. */
type End =
  | { next: 'listed' }
  | { next: 'watch-again' }
  | { next: 'back-off-then-watch'; error: unknown }
  | { next: 'list-again' }
  | { next: 'back-off-then-list'; error: unknown };

class ListWatchReflector<T extends KubernetesObject> implements Reflector<T> {
  readonly synced: Promise<void>;
  readonly #client: KubernetesClient;
  readonly #resource: Resource<T>;
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #store: Store<T>;
  readonly #stopping = new AbortController();
  readonly #resolveSynced: () => void;
  #state: ReflectorState = { kind: 'idle' };
  #running: Promise<void> | undefined;
  #hasSynced = false;
  /** Version to resume from; undefined asks for a list. */
  #resourceVersion: string | undefined;
  #lastContact = Number.NEGATIVE_INFINITY;
  /** Only a watch that worked ends a row of failures: a server may answer lists and refuse every watch. */
  #watchWasHealthy = false;

  constructor(client: KubernetesClient, resource: Resource<T>, options: ReflectorOptions<T>) {
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.logger ?? silentLog;
    this.#store = new Store<T>(this.#log);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#resolveSynced = resolve;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#enter({ kind: 'stopped' });
  }

  get(key: string): T | undefined {
    return this.#store.get(key);
  }

  list(): T[] {
    return this.#store.list();
  }

  addIndex(name: string, values: IndexFunction<T>): void {
    this.#store.addIndex(name, values);
  }

  byIndex(name: string, value: string): T[] {
    return this.#store.byIndex(name, value);
  }

  hasByIndex(name: string, value: string): boolean {
    return this.#store.hasByIndex(name, value);
  }

  subscribe(handler: ChangeHandler<T>): () => void {
    return this.#store.subscribe(handler);
  }

  stalenessMs(): number {
    return this.#state.kind === 'watching' ? 0 : this.#clock.now() - this.#lastContact;
  }

  async #run(): Promise<void> {
    let attempt = 0;
    while (!this.#stopping.signal.aborted) {
      const end = this.#resourceVersion === undefined ? await this.#list() : await this.#watch();
      if (this.#stopping.signal.aborted) return;
      if (end.next === 'list-again' || end.next === 'back-off-then-list') this.#resourceVersion = undefined;
      if (this.#watchWasHealthy) attempt = 0;
      if (end.next === 'listed') continue;
      if (this.#watchWasHealthy && (end.next === 'watch-again' || end.next === 'list-again')) continue;
      attempt += 1;
      await this.#backOff(attempt, 'error' in end ? end.error : endedAtOnce);
    }
  }

  async #list(): Promise<End> {
    this.#enter({ kind: 'listing', since: this.#clock.now() });
    this.#watchWasHealthy = false;
    const name = this.#resource.plural;
    try {
      const { objects, resourceVersion } = await this.#listPages();
      this.#store.replaceAll(objects);
      this.#resourceVersion = resourceVersion;
      this.#lastContact = this.#clock.now();
      this.#options.metrics?.listed(name, 'ok');
      this.#options.metrics?.objects(name, this.#store.size);
      this.#markSynced();
      return { next: 'listed' };
    } catch (error) {
      this.#options.metrics?.listed(name, 'error');
      return { next: 'back-off-then-list', error };
    }
  }

  async #listPages(): Promise<{ objects: T[]; resourceVersion: string }> {
    const objects: T[] = [];
    let limit: number | undefined = this.#options.pageSize ?? DEFAULT_PAGE_SIZE;
    let token: string | undefined;
    for (;;) {
      const page = {
        ...(limit === undefined ? {} : { limit }),
        ...(token === undefined ? {} : { continue: token }),
      };
      let list;
      try {
        list = await this.#client.list(this.#resource, { ...this.#filter(), ...page }, this.#stopping.signal);
      } catch (error) {
        // The server forgot the snapshot between two pages: one list without pages can not suffer that.
        if (token === undefined || !isExpired(error)) throw error;
        objects.length = 0;
        limit = undefined;
        token = undefined;
        continue;
      }
      for (const item of list.items) this.#collect(item, objects);
      token = list.metadata?.continue === '' ? undefined : list.metadata?.continue;
      if (token !== undefined) continue;
      const resourceVersion = list.metadata?.resourceVersion;
      if (resourceVersion === undefined || resourceVersion === '') {
        throw noAnswer('InvalidResponse', `the list of ${this.#resource.plural} has no resourceVersion`);
      }
      return { objects, resourceVersion };
    }
  }

  #collect(item: T, objects: T[]): void {
    if (typeof item.metadata?.name === 'string') objects.push(this.#slim(item));
    else this.#log.warn({ resource: this.#resource.plural }, 'the server listed an object without a name');
  }

  async #watch(): Promise<End> {
    const watchdog = new Watchdog(this.#clock, this.#options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#stopping.signal, watchdog.signal]);
    const timeoutSeconds = Math.floor(WATCH_SECONDS.min + this.#random() * WATCH_SECONDS.spread);
    const resourceVersion = this.#resourceVersion ?? '';
    const started = this.#clock.now();
    let events = 0;
    this.#enter({ kind: 'connecting', since: started });
    const onOpen = (): void => {
      this.#lastContact = this.#clock.now();
      this.#enter({ kind: 'watching', since: this.#lastContact });
    };
    try {
      const watch = this.#client.watch(
        this.#resource,
        { ...this.#filter(), resourceVersion, timeoutSeconds, onOpen },
        signal,
      );
      for await (const event of watch) {
        watchdog.touch();
        this.#take(event);
        events += 1;
      }
      return this.#watchEnded('end', { next: 'watch-again' });
    } catch (error) {
      return watchdog.signal.aborted
        ? this.#watchEnded('stalled', { next: 'back-off-then-watch', error: watchdog.signal.reason })
        : this.#watchEnded(endReason(error), afterWatchError(error));
    } finally {
      watchdog.stop();
      this.#watchWasHealthy = events > 0 || this.#clock.now() - started >= HEALTHY_WATCH_MS;
    }
  }

  #watchEnded(reason: string, end: End): End {
    this.#options.metrics?.watchEnded(this.#resource.plural, reason);
    return end;
  }

  #take(event: WatchEvent<T>): void {
    this.#options.metrics?.event(this.#resource.plural, event.type);
    if (event.type === 'ERROR') {
      const { message, code, reason } = event.object;
      throw new KubernetesError(
        message ?? 'the watch failed',
        code ?? 500,
        reason ?? 'Unknown',
        event.object,
      );
    }
    const meta = event.object.metadata;
    const named = event.type === 'BOOKMARK' || typeof meta?.name === 'string';
    if (typeof meta?.resourceVersion !== 'string' || !named) {
      throw noAnswer(
        'InvalidResponse',
        `the watch of ${this.#resource.plural} sent an object without metadata`,
      );
    }
    if (event.type === 'DELETED') this.#store.remove(objectKey(event.object), this.#slim(event.object));
    else if (event.type !== 'BOOKMARK') this.#store.upsert(this.#slim(event.object));
    this.#resourceVersion = meta.resourceVersion;
    this.#lastContact = this.#clock.now();
    this.#options.metrics?.objects(this.#resource.plural, this.#store.size);
  }

  async #backOff(attempt: number, error: unknown): Promise<void> {
    const since = this.#clock.now();
    const ms = backoffMs(attempt, this.#options.backoff ?? DEFAULT_BACKOFF, this.#random);
    this.#enter({ kind: 'backing-off', since, until: since + ms, attempt, error });
    this.#log.warn(
      { resource: this.#resource.plural, attempt, retryMs: Math.round(ms), error: errorMessage(error) },
      'following a resource failed; it will be tried again',
    );
    await sleep(this.#clock, ms, this.#stopping.signal);
  }

  #slim(object: T): T {
    if (object.metadata !== undefined) {
      delete object.metadata.managedFields;
      delete object.metadata.annotations?.[LAST_APPLIED];
    }
    return this.#options.transform === undefined ? object : this.#options.transform(object);
  }

  #filter(): ListOptions {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  #markSynced(): void {
    this.#hasSynced = true;
    this.#resolveSynced();
  }

  #enter(state: ReflectorState): void {
    this.#state = state;
    this.#options.onState?.(state);
  }
}

/** A server that ends watches before their first event would be asked in a tight loop if this were no failure. */
const endedAtOnce = new Error('the server ended the watch at once');

function afterWatchError(error: unknown): End {
  if (isExpired(error)) return { next: 'list-again' };
  // A broken connection says nothing about the version; any other failure may mean that the server can not resume from it.
  return isConnectionFailure(error)
    ? { next: 'back-off-then-watch', error }
    : { next: 'back-off-then-list', error };
}

function isExpired(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 410;
}

function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof KubernetesError)) return false;
  return error.code === 0 && (error.reason === 'ConnectionFailed' || error.reason === 'Timeout');
}

function endReason(error: unknown): string {
  if (!(error instanceof KubernetesError)) return 'error';
  return error.code === 410 ? 'expired' : error.code === 0 ? error.reason : `http-${error.code}`;
}
