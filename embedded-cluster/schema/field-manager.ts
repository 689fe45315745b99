import { isDeepStrictEqual } from 'node:util';
import type { ManagedFieldsEntry, ObjectMeta } from '../../api/kubernetes-types.ts';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { conflictError } from './apply-conflict.ts';
import {
  entriesOf,
  type ManagerIdentity,
  mergeOldUpdates,
  type Owner,
  ownersOf,
  take,
} from './field-owners.ts';
import { FieldSet } from './field-set.ts';
import type { TypeNode } from './type-node.ts';
import { compare, fieldSetOf, ListKeyError, merge, removeItems } from './typed-value.ts';
import type { Comparison } from './typed-value.ts';
import { checkDeclared } from './typed-check.ts';
import { zeroObject } from './zero-object.ts';

/** Server-side apply and the bookkeeping of who owns which field (KEP-555, structured-merge-diff's merge.Updater). */

export interface ApplyRequest {
  live: StoredObject | undefined;
  applied: StoredObject;
  manager: string;
  force: boolean;
  subresource?: string;
  /** RFC 3339, for the entries that change. */
  now: string;
}

export interface UpdateRequest {
  live: StoredObject | undefined;
  updated: StoredObject;
  manager: string;
  subresource?: string;
  now: string;
}

/** Owns, from the first apply on, what was there before anybody's ownership was recorded. */
const beforeFirstApply = 'before-first-apply';
/** Fields that nobody owns: identity and what the server itself sets. */
const unowned = FieldSet.fromFieldsV1({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    '.': {},
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
  },
});

export class FieldManager {
  readonly #type: TypeNode;
  readonly #apiVersion: string;
  readonly #kind: string;
  readonly #hasStatus: boolean;
  readonly #custom: boolean;

  constructor(
    type: TypeNode,
    options: { apiVersion: string; kind: string; hasStatus: boolean; custom: boolean },
  ) {
    this.#type = type;
    this.#apiVersion = options.apiVersion;
    this.#kind = options.kind;
    this.#hasStatus = options.hasStatus;
    this.#custom = options.custom;
  }

  /**
   * The object after `manager` applied `applied`, with its new managedFields; the very `live` where nothing changed. Throws 409 with one
   * FieldManagerConflict cause per field unless `force`, 400 where `applied` carries managedFields, 500 where it does not fit the type.
   */
  apply(request: ApplyRequest): StoredObject {
    return this.#typed(request.applied, () => this.#apply(request));
  }

  #apply(request: ApplyRequest): StoredObject {
    const { applied, manager, subresource = '', now } = request;
    if (applied.metadata.managedFields !== undefined) throw managedFieldsGiven();
    this.#check(applied);
    const live = request.live ?? this.#zero();
    const owners = this.#ownersBeforeApply(request.live, now);
    const identity: ManagerIdentity = {
      manager,
      operation: 'Apply',
      apiVersion: this.#apiVersion,
      subresource,
    };
    const previous = take(owners, identity);
    const reset = this.#resetFields(subresource);
    const liveFields = withoutManagedFields(live);
    const config = this.#withoutReset(withoutManagedFields(applied), reset);
    const appliedFields = fieldSetOf(config, this.#type);

    const merged = merge(liveFields, config, this.#type);
    const candidate = this.#prune(merged, previous?.fields, [
      ...owners.map((owner) => owner.fields),
      appliedFields,
    ]);
    const changed = compare(liveFields, candidate, this.#type);
    const others = giveWay(owners, changed, request.force);
    const fields = appliedFields.recursiveDifference(reset).difference(unowned);
    // Who applies what is there already has no time of its own.
    const time = isEmptyChange(changed) ? previous?.time : now;
    if (!fields.isEmpty) others.push({ ...identity, time, fields });
    return this.#result(request.live, candidate as StoredObject, others);
  }

  /** managedFields after an Update: the manager owns what it changed, and who owned that before does no longer. */
  update(request: UpdateRequest): ManagedFieldsEntry[] {
    const { updated, manager, subresource = '', now } = request;
    const given = updated.metadata.managedFields;
    // An explicit empty list (or a list of one empty entry) is how a client resets the bookkeeping.
    if (request.live !== undefined && given !== undefined && isReset(given)) return [];
    const before = withoutManagedFields(request.live ?? this.#zero());
    // A client may rewrite the entries, as kubectl does when an object changes over to server-side apply.
    const owners = ownersOf(given?.length ? given : (request.live?.metadata.managedFields ?? []));
    // What nobody is known to own begins to be owned with the first apply.
    if (request.live !== undefined && owners.length === 0) return [];
    const after = withoutManagedFields(updated);
    const changed = this.#comparison(before, after);
    if (changed === undefined) return entriesOf(owners);
    const identity: ManagerIdentity = {
      manager,
      operation: 'Update',
      apiVersion: this.#apiVersion,
      subresource,
    };
    const previous = take(owners, identity);
    const others = giveWay(owners, changed, true);
    const fields = (previous?.fields ?? new FieldSet())
      .difference(changed.removed)
      .union(changed.modified)
      .union(changed.added)
      .recursiveDifference(this.#resetFields(subresource))
      .difference(unowned);
    if (!fields.isEmpty) {
      const unchanged = previous?.fields.equals(fields) === true && isEmptyChange(changed);
      others.push({ ...identity, time: unchanged ? previous?.time : now, fields });
    }
    return entriesOf(mergeOldUpdates(others));
  }

  #result(live: StoredObject | undefined, candidate: StoredObject, owners: Owner[]): StoredObject {
    const entries = entriesOf(owners);
    // A configuration without metadata may have owned all there was of it: the identity stays.
    const metadata = { ...identityOf(live), ...candidate.metadata };
    if (entries.length > 0) metadata.managedFields = entries;
    else delete metadata.managedFields;
    const result = { ...candidate, metadata };
    return live !== undefined && isDeepStrictEqual(live, result) ? live : structuredClone(result);
  }

  /** Removes what `manager` applied before and now leaves out, unless another still owns it or it was never removed by anyone. */
  #prune(merged: unknown, last: FieldSet | undefined, owned: FieldSet[]): unknown {
    if (last === undefined || last.isEmpty) return merged;
    const type = this.#type;
    const named = (set: FieldSet): FieldSet => set.withNamedFieldsAsMembers(type);
    const mergedSet = named(fieldSetOf(merged, type));
    const prunedSet = (value: unknown): FieldSet => named(fieldSetOf(value, type));
    const allOwned = named(owned.reduce((union, fields) => union.union(fields), new FieldSet()));

    const pruned = removeItems(merged, named(last), type) ?? {};
    const withOwned = removeItems(merged, mergedSet.difference(prunedSet(pruned)).difference(allOwned), type);
    const dangling = mergedSet.difference(prunedSet(withOwned ?? {})).intersection(named(last));
    return removeItems(merged, dangling, type) ?? {};
  }

  #ownersBeforeApply(live: StoredObject | undefined, now: string): Owner[] {
    const entries = live?.metadata.managedFields ?? [];
    if (live === undefined || entries.length > 0) return ownersOf(entries);
    const set = compare(this.#zero(), withoutManagedFields(live), this.#type);
    const fields = set.added
      .union(set.modified)
      .recursiveDifference(this.#resetFields(''))
      .difference(unowned);
    if (fields.isEmpty) return [];
    const identity = { operation: 'Update', apiVersion: this.#apiVersion, subresource: '' } as const;
    return [{ ...identity, manager: beforeFirstApply, time: now, fields }];
  }

  /** What a request to this endpoint cannot change, so its manager does not come to own it. */
  #resetFields(subresource: string): FieldSet {
    if (subresource === 'status') {
      const fields = this.#type.fieldNames.filter((name) => name !== 'status' && name !== 'metadata');
      return new FieldSet(fields.map((name) => `f:${name}`));
    }
    return this.#hasStatus ? new FieldSet(['f:status']) : new FieldSet();
  }

  #withoutReset(object: StoredObject, reset: FieldSet): StoredObject {
    const { apiVersion, kind, metadata } = object;
    const kept = removeItems(object, reset, this.#type) as Record<string, unknown> | undefined;
    return { ...kept, apiVersion, kind, metadata };
  }

  #check(applied: StoredObject): void {
    const problem = checkDeclared(applied, this.#type);
    if (problem !== undefined) throw this.#untypable(applied, problem);
  }

  #typed<T>(object: StoredObject, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ListKeyError) throw this.#untypable(object, error.message);
      throw error;
    }
  }

  /** Lists that break their own key rules cannot be compared; ownership then stays as it was (validation refuses what it must). */
  #comparison(before: StoredObject, after: StoredObject): Comparison | undefined {
    try {
      return compare(before, after, this.#type);
    } catch (error) {
      if (error instanceof ListKeyError) return undefined;
      throw error;
    }
  }

  #untypable(object: StoredObject, problem: string): ApiError {
    const { namespace = '', name = '' } = object.metadata;
    const version = this.#apiVersion.includes('/') ? this.#apiVersion : `/${this.#apiVersion}`;
    return ApiError.of(
      500,
      `failed to create typed patch object (${namespace}/${name}; ${version}, Kind=${this.#kind}): ${problem}`,
    );
  }

  /** What a create is compared with: a custom resource has nothing that was not given. */
  #zero(): StoredObject {
    if (!this.#custom) return zeroObject(this.#type, this.#apiVersion, this.#kind);
    return { apiVersion: this.#apiVersion, kind: this.#kind, metadata: {} };
  }
}

/** The other owners after a change: each loses what was taken from it. Throws 409 where that needs `force`. */
function giveWay(owners: Owner[], changed: Comparison, force: boolean): Owner[] {
  const touched = changed.modified.union(changed.added);
  const conflicts = owners
    .map((owner) => ({ owner, fields: owner.fields.intersection(touched) }))
    .filter(({ fields }) => !fields.isEmpty);
  if (!force && conflicts.length > 0) throw conflictError(conflicts);
  return owners
    .map((owner) => ({ ...owner, fields: owner.fields.difference(touched).difference(changed.removed) }))
    .filter((owner) => !owner.fields.isEmpty);
}

function managedFieldsGiven(): ApiError {
  return ApiError.of(400, 'metadata.managedFields must be nil', { reason: 'BadRequest' });
}

function identityOf(live: StoredObject | undefined): ObjectMeta {
  if (live === undefined) return {};
  const {
    labels: _,
    annotations: __,
    finalizers: ___,
    ownerReferences: ____,
    managedFields: _____,
    ...identity
  } = live.metadata;
  return identity;
}

function isReset(entries: readonly ManagedFieldsEntry[]): boolean {
  return entries.length === 0 || (entries.length === 1 && Object.keys(entries[0] ?? {}).length === 0);
}

function isEmptyChange(changed: Comparison): boolean {
  return changed.added.isEmpty && changed.modified.isEmpty && changed.removed.isEmpty;
}

function withoutManagedFields(object: StoredObject): StoredObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
