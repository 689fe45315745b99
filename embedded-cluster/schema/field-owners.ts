import type { ManagedFieldsEntry } from '../../api/kubernetes-types.ts';
import { FieldSet } from './field-set.ts';

/** Who owns which fields of an object, as its managedFields tell it. */

export interface ManagerIdentity {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource: string;
}

export interface Owner extends ManagerIdentity {
  time: string | undefined;
  fields: FieldSet;
}

/** Update entries above this are merged into one, so that changing manager names cannot grow an object without end (the real server's bound). */
const maxUpdateOwners = 10;
const mergedUpdateOwner = 'ancient-changes';

/** Takes the entry of that identity out of the list. For appliers the version does not count. */
export function take(owners: Owner[], identity: ManagerIdentity): Owner | undefined {
  const index = owners.findIndex(
    (owner) =>
      owner.manager === identity.manager &&
      owner.operation === identity.operation &&
      owner.subresource === identity.subresource &&
      (identity.operation === 'Apply' || owner.apiVersion === identity.apiVersion),
  );
  return index < 0 ? undefined : owners.splice(index, 1)[0];
}

export function ownersOf(entries: readonly ManagedFieldsEntry[]): Owner[] {
  return entries.map((entry) => ({
    manager: entry.manager ?? '',
    operation: entry.operation ?? 'Update',
    apiVersion: entry.apiVersion ?? '',
    subresource: entry.subresource ?? '',
    time: entry.time,
    fields: FieldSet.fromFieldsV1(entry.fieldsV1),
  }));
}

/** Appliers first, then by time and name: the order in which the real server keeps them. */
export function entriesOf(owners: readonly Owner[]): ManagedFieldsEntry[] {
  return [...owners].sort(byOperationTimeName).map((owner) => ({
    manager: owner.manager,
    operation: owner.operation,
    apiVersion: owner.apiVersion,
    ...(owner.time === undefined ? {} : { time: owner.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: owner.fields.toFieldsV1(),
    ...(owner.subresource === '' ? {} : { subresource: owner.subresource }),
  }));
}

function byOperationTimeName(a: Owner, b: Owner): number {
  return (
    order(a.operation, b.operation) ||
    order(a.time ?? '', b.time ?? '') ||
    order(a.manager, b.manager) ||
    order(a.apiVersion, b.apiVersion) ||
    order(a.subresource, b.subresource)
  );
}

/** Of texts, by their code units. */
export function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** At most so many updaters: the oldest are made one. */
export function mergeOldUpdates(owners: Owner[]): Owner[] {
  const updates = owners.filter((owner) => owner.operation === 'Update').sort(byOperationTimeName);
  const excess = updates.slice(0, Math.max(0, updates.length - maxUpdateOwners + 1));
  const [first] = excess;
  if (updates.length <= maxUpdateOwners || first === undefined) return owners;
  const merged: Owner = {
    ...first,
    manager: mergedUpdateOwner,
    subresource: '',
    time: excess.at(-1)?.time,
    fields: excess.reduce((union, owner) => union.union(owner.fields), new FieldSet()),
  };
  return [...owners.filter((owner) => !excess.includes(owner)), merged];
}
