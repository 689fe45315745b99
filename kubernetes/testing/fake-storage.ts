import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject, ObjectMeta } from '../../api/kubernetes-types.ts';
import { keyOf } from '../object-key.ts';
import { appliedFields, isMap, mergeApplied } from './fake-apply.ts';

/** Any object as a server holds it. */
export type Stored = KubernetesObject & { metadata: ObjectMeta } & Record<string, unknown>;

/** One change in a collection, as watchers need it: with the form before, for selectors. */
export interface Change {
  version: number;
  collection: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: Stored;
  before: Stored | undefined;
}

/** A refusal in the words of the API: HTTP code, reason, message. */
export class Refusal extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** Objects with resource versions, a history that can be compacted, finalizers, owner references and field owners. */
export class FakeStorage {
  readonly #collections = new Map<string, Map<string, Stored>>();
  readonly #applied = new Map<string, Map<string, Record<string, unknown>>>();
  readonly #listeners = new Set<(change: Change) => void>();
  #history: Change[] = [];
  #version = 1;
  #compactedTo = 0;

  get version(): number {
    return this.#version;
  }

  get compactedTo(): number {
    return this.#compactedTo;
  }

  /** Forgets the history up to now: watches from before are told 410. */
  compact(): void {
    this.#history = [];
    this.#compactedTo = this.#version;
  }

  /** Lets versions pass as changes elsewhere in the cluster would. */
  skipVersions(count: number): void {
    this.#version += count;
  }

  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changesSince(collection: string, version: number): Change[] {
    return this.#history.filter((c) => c.collection === collection && c.version > version);
  }

  list(collection: string): Stored[] {
    const objects = [...(this.#collections.get(collection)?.values() ?? [])];
    return objects.sort((a, b) => (keyOfStored(a) < keyOfStored(b) ? -1 : 1));
  }

  get(collection: string, key: string): Stored {
    const object = this.#collections.get(collection)?.get(key);
    if (object === undefined) throw new Refusal(404, 'NotFound', `${collection} "${key}" not found`);
    return object;
  }

  find(collection: string, key: string): Stored | undefined {
    return this.#collections.get(collection)?.get(key);
  }

  create(collection: string, object: Stored): Stored {
    const meta = object.metadata;
    meta.name ??= `${meta.generateName ?? ''}${randomUUID().slice(0, 5)}`;
    const key = keyOfStored(object);
    if (this.find(collection, key) !== undefined) {
      throw new Refusal(409, 'AlreadyExists', `${collection} "${key}" already exists`);
    }
    meta.uid = randomUUID();
    meta.creationTimestamp = new Date().toISOString();
    meta.generation = 1;
    return this.#write(collection, 'ADDED', asServed(object), undefined);
  }

  /** Writes the new form of an object. `subresource` `status` changes only its status, otherwise all but that. */
  update(collection: string, object: Stored, subresource: string | undefined): Stored {
    const old = this.get(collection, keyOfStored(object));
    const given = object.metadata.resourceVersion;
    if (given !== undefined && given !== old.metadata.resourceVersion) {
      throw new Refusal(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest version',
      );
    }
    const next = asServed(nextForm(old, object, subresource));
    if (isDeepStrictEqual(next, old)) return old;
    if (next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0) {
      return this.#remove(collection, next);
    }
    return this.#write(collection, 'MODIFIED', next, old);
  }

  apply(collection: string, object: Stored, manager: string, force: boolean, subresource?: string): Stored {
    const id = `${collection}/${keyOfStored(object)}`;
    const managers = this.#applied.get(id) ?? new Map<string, Record<string, unknown>>();
    const others = [...managers].filter(([name]) => name !== manager);
    const mine = appliedFields(object);
    const old = this.find(collection, keyOfStored(object));
    const merged = mergeApplied(old ?? {}, mine, managers.get(manager) ?? {}, others, force);
    if ('conflict' in merged) {
      throw new Refusal(409, 'Conflict', `Apply failed with 1 conflict: conflict with ${merged.conflict}`);
    }
    managers.set(manager, mine);
    this.#applied.set(id, managers);
    const next = { ...merged.object, metadata: { ...(merged.object['metadata'] as ObjectMeta) } } as Stored;
    if (old === undefined) return this.create(collection, next);
    next.metadata.resourceVersion = old.metadata.resourceVersion ?? '';
    return this.update(collection, next, subresource);
  }

  delete(collection: string, key: string): Stored {
    const old = this.get(collection, key);
    if ((old.metadata.finalizers ?? []).length === 0) return this.#remove(collection, old);
    if (old.metadata.deletionTimestamp !== undefined) return old;
    const marked = structuredClone(old);
    marked.metadata.deletionTimestamp = new Date().toISOString();
    return this.#write(collection, 'MODIFIED', marked, old);
  }

  #remove(collection: string, object: Stored): Stored {
    this.#collections.get(collection)?.delete(keyOfStored(object));
    this.#applied.delete(`${collection}/${keyOfStored(object)}`);
    const gone = structuredClone(object);
    gone.metadata.resourceVersion = String(++this.#version);
    this.#tell({ version: this.#version, collection, type: 'DELETED', object: gone, before: object });
    this.#collectGarbage(object.metadata.uid);
    return gone;
  }

  /** Background propagation: what the deleted object owned goes too. */
  #collectGarbage(owner: string | undefined): void {
    for (const [collection, objects] of this.#collections) {
      for (const [key, object] of objects) {
        if (object.metadata.ownerReferences?.some((o) => o.uid === owner) === true)
          this.delete(collection, key);
      }
    }
  }

  #write(collection: string, type: 'ADDED' | 'MODIFIED', object: Stored, before: Stored | undefined): Stored {
    object.metadata.resourceVersion = String(++this.#version);
    const objects = this.#collections.get(collection) ?? new Map<string, Stored>();
    this.#collections.set(collection, objects);
    objects.set(keyOfStored(object), object);
    this.#tell({ version: this.#version, collection, type, object, before });
    return object;
  }

  #tell(change: Change): void {
    this.#history.push(change);
    for (const listener of this.#listeners) listener(change);
  }
}

/** A real server gives the lists of an EndpointSlice that are empty as null. */
function asServed(object: Stored): Stored {
  if (object['addressType'] === undefined) return object;
  for (const field of ['endpoints', 'ports']) {
    if (Array.isArray(object[field]) && object[field].length === 0) object[field] = null;
  }
  return object;
}

/** The key of a stored object. */
function keyOfStored(object: Stored): string {
  return keyOf(object.metadata.namespace, object.metadata.name ?? '');
}

/** Kinds of ours and Services keep their status apart; for the rest of the fake's kinds it makes no difference. */
function nextForm(old: Stored, given: Stored, subresource: string | undefined): Stored {
  const { uid, creationTimestamp, resourceVersion, deletionTimestamp, generation } = old.metadata;
  const kept = { uid, creationTimestamp, resourceVersion, deletionTimestamp, generation };
  const next =
    subresource === 'status'
      ? ({ ...structuredClone(old), status: given['status'] } as Stored)
      : ({ ...structuredClone(given), status: old['status'] } as Stored);
  next.metadata = { ...(subresource === 'status' ? old.metadata : next.metadata) };
  for (const [field, value] of Object.entries(kept)) {
    if (value === undefined) Reflect.deleteProperty(next.metadata, field);
    else Object.assign(next.metadata, { [field]: value });
  }
  if (next['status'] === undefined) delete next['status'];
  const changed = isMap(next['spec']) && !isDeepStrictEqual(next['spec'], old['spec']);
  if (changed) next.metadata.generation = (generation ?? 0) + 1;
  return next;
}
