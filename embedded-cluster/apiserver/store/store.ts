import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { StoredObject } from '../../types.ts';
import { tooLargeResourceVersion, tooOldResourceVersion } from '../errors.ts';

/** One write. `previous` is the object before it (absent for ADDED). */
export interface Revision {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly resource: string;
  readonly object: StoredObject;
  readonly previous: StoredObject | undefined;
  /** When it was written, ms since the epoch. */
  readonly time: number;
}

export interface StoreOptions {
  /** File of the database; `:memory:` for none. */
  path: string;
  now: () => number;
  /** Revisions that a watch can resume from, at most. */
  windowCount?: number;
  /** Their age at most, ms. */
  windowAgeMs?: number;
}

/** A window of 4,000 revisions is minutes of a busy small cluster, and holds at most some ten MiB of old objects. */
const WINDOW_COUNT = 4_000;
/** Longer than any client's watch (client-go: 5 to 10 minutes), so that a quiet watch can always be resumed. */
const WINDOW_AGE_MS = 15 * 60_000;
/** Compacting in steps keeps the price of a write even. */
const COMPACT_STEP = 256;

interface Collection {
  objects: Map<string, StoredObject>;
  /** Keys in order; absent after a key came or went. */
  sorted: string[] | undefined;
}

type Listener = (revision: Revision) => void;

/**
 * All objects, in SQLite and in memory, under one growing revision.
 *
 * The table holds revisions as etcd does: the latest of each object, and older ones while they are in the window that watches resume from. One write is
 * one INSERT. `synchronous=NORMAL` in WAL mode: a commit has reached the kernel when it returns, so it outlives kill -9 of this process; after a loss of
 * power the last moments may be missing but the database is whole. FULL would cost an fsync a write for a cluster whose pods are processes of the same machine.
 */
export class Store {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #setCompacted: StatementSync;
  readonly #now: () => number;
  readonly #windowCount: number;
  readonly #windowAgeMs: number;
  readonly #collections = new Map<string, Collection>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #undelivered: Revision[] = [];
  #window: Revision[] = [];
  #delivering = false;
  #revision = 0;
  #compacted = 0;

  constructor(options: StoreOptions) {
    this.#now = options.now;
    this.#windowCount = options.windowCount ?? WINDOW_COUNT;
    this.#windowAgeMs = options.windowAgeMs ?? WINDOW_AGE_MS;
    this.#database = new DatabaseSync(options.path);
    this.#database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA cache_size = -2048;
      CREATE TABLE IF NOT EXISTS revisions (
        revision INTEGER PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL, time INTEGER NOT NULL, object TEXT NOT NULL
      ) STRICT;
      CREATE TABLE IF NOT EXISTS compaction (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT;
      INSERT OR IGNORE INTO compaction VALUES (0, 0);
    `);
    this.#insert = this.#database.prepare('INSERT INTO revisions VALUES (?, ?, ?, ?, ?)');
    this.#delete = this.#database.prepare('DELETE FROM revisions WHERE revision = ?');
    this.#setCompacted = this.#database.prepare('UPDATE compaction SET revision = ?');
    this.#load();
  }

  /** The revision of the latest write; 1 in an empty store, since 0 means "any" to clients. */
  get revision(): number {
    return Math.max(this.#revision, 1);
  }

  /** Watches and snapshots at or after this revision can be had. */
  get compacted(): number {
    return this.#compacted;
  }

  get(resource: string, namespace: string | undefined, name: string): StoredObject | undefined {
    return this.#collections.get(resource)?.objects.get(keyOf(namespace, name));
  }

  /** Objects in the order of namespace and name. */
  list(resource: string, namespace?: string): StoredObject[] {
    const collection = this.#collections.get(resource);
    if (collection === undefined) return [];
    collection.sorted ??= [...collection.objects.keys()].sort();
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    const found: StoredObject[] = [];
    for (const key of collection.sorted) {
      if (!key.startsWith(prefix)) continue;
      const object = collection.objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** The list as it was at `revision`; throws 410 when that has been compacted. */
  listAt(resource: string, namespace: string | undefined, revision: number): StoredObject[] {
    if (revision === this.revision) return this.list(resource, namespace);
    const later = this.since(resource, revision);
    const objects = new Map(this.list(resource, namespace).map((object) => [keyOfObject(object), object]));
    for (const event of later.reverse()) {
      if (namespace !== undefined && event.object.metadata.namespace !== namespace) continue;
      const key = keyOfObject(event.object);
      if (event.previous === undefined) objects.delete(key);
      else objects.set(key, event.previous);
    }
    return [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  count(resource: string): number {
    return this.#collections.get(resource)?.objects.size ?? 0;
  }

  /** Creates or replaces; the object that is kept carries the new resourceVersion. The caller hands the object over. */
  put(resource: string, object: StoredObject): StoredObject {
    const previous = this.get(resource, object.metadata.namespace, object.metadata.name ?? '');
    return this.#write(resource, previous === undefined ? 'ADDED' : 'MODIFIED', object, previous);
  }

  /** Removes; the event carries `object` with the deletion's resourceVersion. */
  remove(resource: string, object: StoredObject): StoredObject {
    const previous = this.get(resource, object.metadata.namespace, object.metadata.name ?? '');
    return this.#write(resource, 'DELETED', object, previous);
  }

  /** Revisions of a resource after `revision`, oldest first; throws 410 when some are gone, 504 when it lies ahead. */
  since(resource: string, revision: number): Revision[] {
    if (revision < this.#compacted) throw tooOldResourceVersion(revision, this.#compacted);
    if (revision > this.revision) throw tooLargeResourceVersion(revision, this.revision);
    let first = this.#window.length;
    while (first > 0 && (this.#window[first - 1]?.revision ?? 0) > revision) first--;
    return this.#window.slice(first).filter((event) => event.resource === resource);
  }

  /** Calls the listener within each write from now on, in order; writes that a listener makes are told after the one in hand. */
  subscribe(resource: string, listener: Listener): () => void {
    let listeners = this.#listeners.get(resource);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(resource, listeners);
    }
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Drops revisions beyond the window's count and age. */
  compact(): void {
    const oldest = this.#now() - this.#windowAgeMs;
    let drop = Math.max(0, this.#window.length - this.#windowCount);
    while (drop < this.#window.length && (this.#window[drop]?.time ?? oldest) < oldest) drop++;
    if (drop === 0) return;
    const dropped = this.#window.slice(0, drop);
    this.#window = this.#window.slice(drop);
    this.#compacted = dropped.at(-1)?.revision ?? this.#compacted;
    this.#database.exec('BEGIN');
    for (const { type, revision, previous } of dropped) {
      if (previous !== undefined) this.#delete.run(Number(previous.metadata.resourceVersion));
      if (type === 'DELETED') this.#delete.run(revision);
    }
    this.#setCompacted.run(this.#compacted);
    this.#database.exec('COMMIT');
  }

  close(): void {
    this.#listeners.clear();
    this.#database.close();
  }

  #write(
    resource: string,
    type: Revision['type'],
    object: StoredObject,
    previous: StoredObject | undefined,
  ): StoredObject {
    const revision = this.revision + 1;
    const kept = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
    const time = this.#now();
    this.#insert.run(revision, type, resource, time, JSON.stringify(kept));
    this.#apply({ type, revision, resource, object: kept, previous, time });
    if (this.#window.length >= this.#windowCount + COMPACT_STEP) this.compact();
    this.#deliver();
    return kept;
  }

  /** Takes a written revision into memory. */
  #apply(event: Revision): void {
    this.#revision = event.revision;
    const collection = this.#collection(event.resource);
    const key = keyOfObject(event.object);
    if (event.type === 'DELETED') collection.objects.delete(key);
    else collection.objects.set(key, event.object);
    if (event.type !== 'MODIFIED') collection.sorted = undefined;
    if (event.revision > this.#compacted) this.#window.push(event);
    this.#undelivered.push(event);
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let event = this.#undelivered.shift(); event !== undefined; event = this.#undelivered.shift()) {
        for (const listener of Array.from(this.#listeners.get(event.resource) ?? [])) listener(event);
      }
    } finally {
      this.#delivering = false;
    }
  }

  #collection(resource: string): Collection {
    let collection = this.#collections.get(resource);
    if (collection === undefined) {
      collection = { objects: new Map(), sorted: undefined };
      this.#collections.set(resource, collection);
    }
    return collection;
  }

  #load(): void {
    const compaction = this.#database.prepare('SELECT revision FROM compaction').get();
    this.#compacted = Number(compaction?.['revision'] ?? 0);
    this.#revision = this.#compacted;
    const rows = this.#database.prepare('SELECT * FROM revisions ORDER BY revision').iterate();
    for (const row of rows) {
      const object = JSON.parse(String(row['object'])) as StoredObject;
      const resource = String(row['resource']);
      this.#apply({
        type: String(row['type']) as Revision['type'],
        revision: Number(row['revision']),
        resource,
        object,
        previous: this.get(resource, object.metadata.namespace, object.metadata.name ?? ''),
        time: Number(row['time']),
      });
    }
    this.#undelivered.length = 0;
  }
}

function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

/** Namespace and name as the store orders them. */
export function keyOfObject(object: StoredObject): string {
  return keyOf(object.metadata.namespace, object.metadata.name ?? '');
}
