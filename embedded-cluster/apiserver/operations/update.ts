import type { StoredObject } from '../../types.ts';
import { ApiError } from '../../types.ts';
import { badRequest, conflict, invalid, notFound, plainError, STALE_RESOURCE_VERSION } from '../errors.ts';
import { clone, equal } from '../json.ts';
import { storageGroup, storageName, toStorage, toVersion } from '../registry.ts';
import { type Call, type Core, groupResource, timestamp, setManagedFields } from './core.ts';
import { decode, decodeAdmitted } from './decode.ts';
import { allowsUnconditionalUpdate, prepareForUpdate } from './strategy.ts';

/** Writes that a patch loses to others before it gives up (kube-apiserver's MaxRetryWhenPatchConflicts). */
const CONFLICT_RETRIES = 5;

/** An object on its way into the store, and how its managedFields come about. */
export interface Change {
  object: StoredObject;
  /** managedFields are already right (server-side apply). */
  managed: boolean;
  /** Subresource that the change came by, where it is not the call's (scale). */
  by?: string;
}

/** PUT of an object or its status. */
export async function replace(core: Core, call: Call, input: unknown): Promise<StoredObject> {
  return updateLive(core, call, (live) => {
    const object = decode(call, input);
    const { name } = object.metadata;
    if (name === undefined || name === '') throw nameMissing(call);
    if (name !== call.name) throw nameMismatch(call, name);
    placeInNamespace(call, object);
    requireSameUid(call, live, object);
    if (askedVersion(object) === undefined && !allowsUnconditionalUpdate(call)) {
      throw invalid(call.type.resource.plural, call.type.resource.group, call.name, [
        {
          field: 'metadata.resourceVersion',
          reason: 'FieldValueInvalid',
          message: 'Invalid value: 0: must be specified for an update',
        },
      ]);
    }
    return { object, managed: false };
  });
}

/** 400: the path and the object name two different things. */
export function nameMismatch(call: Call, name: string): ApiError {
  return badRequest(`the name of the object (${name}) does not match the name on the URL (${call.name})`);
}

/** 400: the object has no name. */
export function nameMissing(call: Call): ApiError {
  return badRequest(
    `the name of the object (${call.name} based on URL) was undeterminable: name must be provided`,
  );
}

/** Of the namespace that is asked for; throws 400 where the object names another. */
export function placeInNamespace(call: Call, object: StoredObject): void {
  if (!call.type.resource.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  const { namespace } = object.metadata;
  if (namespace !== undefined && namespace !== '' && namespace !== call.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (call.namespace !== undefined) object.metadata.namespace = call.namespace;
}

function requireSameUid(call: Call, live: StoredObject, { metadata: { uid } }: StoredObject): void {
  if (uid === undefined || uid === '' || uid === live.metadata.uid) return;
  throw conflict(
    groupResource(call.type),
    call.name,
    `StorageError: invalid object, Code: 4, Key: ${storageKey(call)}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid ?? ''}`,
  );
}

/** The stored object in the version asked for; throws 404. */
export function requireLive(core: Core, call: Call): StoredObject {
  const live = findLive(core, call);
  if (live === undefined) throw notFound(groupResource(call.type), call.name);
  return live;
}

/** The stored object in the version asked for; undefined: there is none. */
export function findLive(core: Core, call: Call): StoredObject | undefined {
  const live = core.store.get(storageName(call.type.resource), call.namespace, call.name);
  return live === undefined ? undefined : toVersion(live, call.type);
}

/**
 * Changes a stored object: `produce` makes the new one of a copy of the live one. When another write comes between, it
 * is made again of the newer object, unless the new one names a resourceVersion: then 409.
 */
export async function updateLive(
  core: Core,
  call: Call,
  produce: (live: StoredObject) => Change,
): Promise<StoredObject> {
  for (let tries = 0; ; tries++) {
    const live = requireLive(core, call);
    try {
      return await tryUpdate(core, call, live, produce(clone(live)));
    } catch (error) {
      if (!(error instanceof LostRace)) throw error;
      if (tries >= CONFLICT_RETRIES)
        throw conflict(groupResource(call.type), call.name, STALE_RESOURCE_VERSION);
    }
  }
}

/** Another write was faster. */
class LostRace extends Error {}

async function tryUpdate(core: Core, call: Call, live: StoredObject, change: Change): Promise<StoredObject> {
  requireCurrent(call, live, change.object);
  change.object = call.type.schema.storedForm(change.object);
  prepareForUpdate(call, change.object, live);
  const by = change.by ?? call.subresource;
  // Before admission: what admission changes is nobody's.
  if (!change.managed) {
    setManagedFields(
      change.object,
      call.type.schema.trackUpdate({
        live,
        updated: change.object,
        manager: call.fieldManager,
        ...(by === '' ? {} : { subresource: by }),
        now: timestamp(core.now()),
      }),
    );
  }
  const request = {
    operation: 'UPDATE' as const,
    call,
    name: call.name,
    object: change.object,
    oldObject: live,
  };
  const changed = await core.admission.mutate(request);
  let { object } = change;
  if (changed) {
    object = decodeAdmitted(call, request.object);
    prepareForUpdate(call, object, live);
  }
  validateUpdate(call, object, live);
  core.authorizeWrite(call, object, live);
  await core.admission.validate({ ...request, object });
  if (isUnchanged(call.type.schema.storedForm(object), live)) return live;
  return commitUpdate(core, call, object, live);
}

/** As the real server's storage names an object in its messages. */
function storageKey(call: Call): string {
  const { group, plural, custom } = call.type.resource;
  const place = call.namespace === undefined ? '' : `${call.namespace}/`;
  return `/registry/${custom ? `${group}/` : ''}${plural}/${place}${call.name}`;
}

/** The resourceVersion that a write asks for; undefined when it asks for none. Throws 500 for one that is no number, as the real server does. */
function askedVersion(object: StoredObject): string | undefined {
  const { resourceVersion = '' } = object.metadata;
  if (resourceVersion === '' || resourceVersion === '0') return undefined;
  if (!/^\d+$/.test(resourceVersion)) {
    throw plainError(`strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`);
  }
  return resourceVersion;
}

function requireCurrent(call: Call, live: StoredObject, object: StoredObject): void {
  const resourceVersion = askedVersion(object);
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
    throw conflict(groupResource(call.type), call.name, STALE_RESOURCE_VERSION);
  }
}

function validateUpdate(call: Call, object: StoredObject, live: StoredObject): void {
  // On which node a pod is, changes by its binding alone, and that alone.
  if (call.subresource === 'binding') return;
  const errors = call.type.schema.validate(object, live);
  if (errors.length > 0)
    throw invalid(call.type.resource.kind, storageGroup(call.type.resource), call.name, errors);
}

/** A write that changes nothing makes no revision. Other owners of fields are a change, other times are none. */
function isUnchanged(object: StoredObject, live: StoredObject): boolean {
  const bare = ({ metadata, ...rest }: StoredObject): unknown => {
    const { resourceVersion: _version, managedFields = [], ...others } = metadata;
    const timeless = managedFields.map(({ time: _time, ...entry }) => entry);
    return { ...rest, metadata: { ...others, managedFields: timeless } };
  };
  return equal(bare(object), bare(live));
}

function commitUpdate(core: Core, call: Call, object: StoredObject, live: StoredObject): StoredObject {
  const resource = storageName(call.type.resource);
  const current = core.store.get(resource, call.namespace, call.name);
  if (current === undefined) throw notFound(groupResource(call.type), call.name);
  if (current.metadata.resourceVersion !== live.metadata.resourceVersion) {
    throw askedVersion(object) === undefined
      ? new LostRace()
      : conflict(groupResource(call.type), call.name, STALE_RESOURCE_VERSION);
  }
  core.allocate(object, live, call);
  if (call.dryRun)
    return {
      ...object,
      metadata: { ...object.metadata, resourceVersion: current.metadata.resourceVersion ?? '' },
    };
  const stored = toStorage(object, call.type);
  if (isFullyReleased(resource, stored)) {
    // It goes as it last was: watchers are not told of the change that released it.
    core.store.remove(resource, current);
    return object;
  }
  return toVersion(core.store.put(resource, stored), call.type);
}

/** The last finalizer of a deleted object is gone, and it has no grace left. */
export function isFullyReleased(resource: string, object: StoredObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds !== 0 || finalizers.length > 0)
    return false;
  if (resource !== 'namespaces') return true;
  const spec = object['spec'] as { finalizers?: string[] } | undefined;
  return (spec?.finalizers ?? []).length === 0;
}

/** Runs a write again that failed for a conflict with another write; for the server's own read-modify-write. */
export async function retryOnConflict<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= CONFLICT_RETRIES || !(error instanceof ApiError) || error.reason !== 'Conflict')
        throw error;
    }
  }
}
