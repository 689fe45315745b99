import type { Status } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { conflict } from '../errors.ts';
import { clone } from '../json.ts';
import { storageName, toStorage, toVersion } from '../registry.ts';
import { type Call, type Core, groupResource, timestamp } from './core.ts';
import { gracePeriodSeconds, hasGracePeriod, prepareForDeletion, returnsDeleted } from './strategy.ts';
import { isFullyReleased, requireLive } from './update.ts';

/** metav1.DeleteOptions. */
export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  preconditions?: { uid?: string; resourceVersion?: string };
}

/** What the garbage collector waits for (metav1.FinalizerOrphanDependents, FinalizerDeleteDependents). */
const ORPHAN_FINALIZER = 'orphan';
const FOREGROUND_FINALIZER = 'foregroundDeletion';

/**
 * DELETE: at once, or marked by deletionTimestamp while finalizers or a grace period hold it. Answers with the object
 * or a Status, as kube-apiserver does for the kind.
 */
export async function remove(core: Core, call: Call, options: DeleteOptions): Promise<StoredObject | Status> {
  const live = requireLive(core, call);
  requirePreconditions(call, live, options);
  const request = { operation: 'DELETE' as const, call, name: call.name, object: undefined, oldObject: live };
  await core.admission.mutate(request);
  await core.admission.validate(request);

  const current = requireLive(core, call);
  requirePreconditions(call, current, options);
  const marked = markDeleted(core, call, current, options);
  const resource = storageName(call.type.resource);
  const stored = toStorage(marked, call.type);
  if (!isFullyReleased(resource, stored)) {
    if (call.dryRun || marked.metadata.deletionTimestamp === undefined) return marked;
    return isMarkedAlike(marked, current) ? current : toVersion(core.store.put(resource, stored), call.type);
  }
  // Only what has a grace period is seen with a deletionTimestamp when it goes at once.
  const last = hasGracePeriod(call) ? stored : toStorage(current, call.type);
  const removed = toVersion(call.dryRun ? last : core.store.remove(resource, last), call.type);
  return returnsDeleted(call) ? removed : deletedStatus(call, removed);
}

/** DELETE of a collection: the objects as they were. */
export async function removeCollection(
  core: Core,
  call: Call,
  objects: readonly StoredObject[],
  options: DeleteOptions,
): Promise<void> {
  for (const { metadata } of objects) {
    const one: Call = { ...call, name: metadata.name ?? '', namespace: metadata.namespace };
    const gone = core.store.get(storageName(call.type.resource), one.namespace, one.name) === undefined;
    if (!gone) await remove(core, one, options);
  }
}

function requirePreconditions(call: Call, live: StoredObject, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  const record = { group: call.type.resource.group, resource: call.type.resource.kind };
  if (uid !== undefined && uid !== live.metadata.uid) {
    throw conflict(
      record,
      call.name,
      `the UID in the precondition (${uid}) does not match the UID in record (${live.metadata.uid ?? ''}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
    throw conflict(
      record,
      call.name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${live.metadata.resourceVersion ?? ''}). The object might have been modified`,
    );
  }
}

function markDeleted(core: Core, call: Call, live: StoredObject, options: DeleteOptions): StoredObject {
  const object = clone(live);
  const finalizers = finalizersAfter(object.metadata.finalizers ?? [], options.propagationPolicy);
  if (finalizers.length > 0) object.metadata.finalizers = finalizers;
  else delete object.metadata.finalizers;
  const grace = gracePeriodSeconds(call, live, options.gracePeriodSeconds);
  const before = object.metadata.deletionGracePeriodSeconds;
  if (object.metadata.deletionTimestamp === undefined) {
    object.metadata.deletionTimestamp = timestamp(core.now() + grace * 1000);
    object.metadata.deletionGracePeriodSeconds = grace;
    if (object.metadata.generation !== undefined) object.metadata.generation++;
    // A namespace goes by its own finalizers, not by a grace period.
    if (storageName(call.type.resource) === 'namespaces') delete object.metadata.deletionGracePeriodSeconds;
    prepareForDeletion(call, object);
  } else if (before !== undefined && grace < before) {
    // A grace period can only be shortened; it counts from the first deletion.
    const start = Date.parse(object.metadata.deletionTimestamp) - before * 1000;
    object.metadata.deletionTimestamp = timestamp(Math.max(start + grace * 1000, core.now()));
    object.metadata.deletionGracePeriodSeconds = grace;
  }
  return object;
}

function finalizersAfter(
  finalizers: readonly string[],
  policy: DeleteOptions['propagationPolicy'],
): string[] {
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter((name) => name !== ORPHAN_FINALIZER && name !== FOREGROUND_FINALIZER);
  if (policy === 'Orphan') return [...others, ORPHAN_FINALIZER];
  if (policy === 'Foreground') return [...others, FOREGROUND_FINALIZER];
  return others;
}

function isMarkedAlike(marked: StoredObject, live: StoredObject): boolean {
  return (
    marked.metadata.deletionTimestamp === live.metadata.deletionTimestamp &&
    (marked.metadata.finalizers ?? []).join() === (live.metadata.finalizers ?? []).join()
  );
}

function deletedStatus(call: Call, object: StoredObject): Status {
  const { group, resource } = groupResource(call.type);
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: call.name,
      ...(group === '' ? {} : { group }),
      kind: resource,
      ...(object.metadata.uid === undefined ? {} : { uid: object.metadata.uid }),
    },
  };
}
