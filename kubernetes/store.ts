import type { KubernetesObject } from '../api/kubernetes-types.ts';
import { errorMessage } from './log.ts';
import type { Log } from './log.ts';
import { objectKey } from './object-key.ts';

/** Told of real changes only: never of an object whose resourceVersion is the one already known. */
export interface ChangeHandler<T> {
  add?(object: T): void;
  update?(object: T, old: T): void;
  delete?(object: T): void;
}

/** The values under which an object is found in an index; none leaves it out. */
export type IndexFunction<T> = (object: T) => readonly string[];

interface Index<T> {
  values: IndexFunction<T>;
  entries: Map<string, Set<string>>;
}

/** The objects a reflector knows, with their indexes and those who want to hear of changes. */
export class Store<T extends KubernetesObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** Everything that is there, in no order that means anything. */
  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Throws where there is one of this name. */
  addIndex(name: string, values: IndexFunction<T>): void {
    if (this.#indexes.has(name)) throw new Error(`index "${name}" is there already`);
    const index: Index<T> = { values, entries: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enterIndex(index, key, object);
  }

  /** Objects that an index has under this value. Throws where there is no such index. */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`there is no index "${name}"`);
    const found: T[] = [];
    for (const key of index.entries.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /**
   * Whether an index has any object under this value: without looking at all of them, as is asked for with each of
   * thousands. Throws where there is no such index.
   */
  hasByIndex(name: string, value: string): boolean {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`there is no index "${name}"`);
    return index.entries.has(value);
  }

  /** Hears of what is there (as additions, at once) and of all changes until the returned function is called. */
  subscribe(handler: ChangeHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.list()) this.#tell(handler, () => handler.add?.(object));
    return () => this.#handlers.delete(handler);
  }

  /** Takes an object as the server has it now. One re-created under the same name is told as deletion and addition. */
  upsert(object: T): void {
    const key = objectKey(object);
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata?.uid !== object.metadata?.uid) {
      this.remove(key, old);
      this.upsert(object);
      return;
    }
    if (old !== undefined && old.metadata?.resourceVersion === object.metadata?.resourceVersion) return;
    this.#set(key, old, object);
    for (const handler of this.#handlers) {
      this.#tell(handler, () => (old === undefined ? handler.add?.(object) : handler.update?.(object, old)));
    }
  }

  /** Forgets an object; `last` is its last known form, told to the handlers. */
  remove(key: string, last: T): void {
    const old = this.#objects.get(key);
    if (old === undefined) return;
    this.#set(key, old, undefined);
    for (const handler of this.#handlers) this.#tell(handler, () => handler.delete?.(last));
  }

  /** Makes the store hold exactly `objects`. */
  replaceAll(objects: readonly T[]): void {
    const kept = new Set(objects.map(objectKey));
    for (const [key, old] of this.#objects) if (!kept.has(key)) this.remove(key, old);
    for (const object of objects) this.upsert(object);
  }

  #set(key: string, old: T | undefined, object: T | undefined): void {
    for (const index of this.#indexes.values()) {
      if (old !== undefined) leaveIndex(index, key, old);
      if (object !== undefined) enterIndex(index, key, object);
    }
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, object);
  }

  /** A handler's failure is its own: it must not stop the cache or the other handlers. */
  #tell(handler: ChangeHandler<T>, call: () => void): void {
    if (!this.#handlers.has(handler)) return;
    try {
      call();
    } catch (error) {
      this.#log.error({ error: errorMessage(error) }, 'a change handler failed');
    }
  }
}

function enterIndex<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    const keys = index.entries.get(value);
    if (keys === undefined) index.entries.set(value, new Set([key]));
    else keys.add(key);
  }
}

function leaveIndex<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    const keys = index.entries.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.entries.delete(value);
  }
}
