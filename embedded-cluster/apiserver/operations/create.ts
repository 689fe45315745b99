import { randomUUID } from 'node:crypto';
import type { StoredObject } from '../../types.ts';
import {
  alreadyExists,
  generateNameConflict,
  invalid,
  methodNotAllowed,
  notFound,
  plainError,
  stillBeingDeleted,
} from '../errors.ts';
import { storageGroup, storageName, toStorage, toVersion } from '../registry.ts';
import { type Call, type Core, groupResource, timestamp, setManagedFields } from './core.ts';
import { decode, decodeAdmitted } from './decode.ts';
import { generateName } from './names.ts';
import { prepareForCreate } from './strategy.ts';
import { nameMismatch, nameMissing, placeInNamespace } from './update.ts';

/** Tries of generateName before giving up (as kube-apiserver since 1.32). */
const GENERATE_NAME_TRIES = 8;

/** POST to a collection. The result is in the version asked for. */
export async function create(core: Core, call: Call, input: unknown): Promise<StoredObject> {
  const object = decode(call, input);
  if (object.metadata.resourceVersion !== undefined && object.metadata.resourceVersion !== '') {
    throw plainError('resourceVersion should not be set on objects to be created');
  }
  delete object.metadata.resourceVersion;
  delete object.metadata.managedFields;
  return storeNew(core, call, object, false);
}

/** PUT of an object that is not there, of a kind that may be made so. What the client knew of an earlier one does not count. */
export async function createByUpdate(core: Core, call: Call, input: unknown): Promise<StoredObject> {
  const object = decode(call, input);
  const { name } = object.metadata;
  if (name === undefined || name === '') throw nameMissing(call);
  if (name !== call.name) throw nameMismatch(call, name);
  delete object.metadata.resourceVersion;
  delete object.metadata.managedFields;
  return storeNew(core, call, object, false);
}

/** Stores an object that is not there yet. `managed`: managedFields are already right (server-side apply). */
export async function storeNew(
  core: Core,
  call: Call,
  object: StoredObject,
  managed: boolean,
): Promise<StoredObject> {
  placeInNamespace(call, object);
  refuseWhileTerminating(core, call);
  const now = timestamp(core.now());
  for (const field of [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const) {
    delete object.metadata[field];
  }
  // Before admission: what admission adds is nobody's.
  if (!managed) {
    const owners = call.type.schema.trackUpdate({
      live: undefined,
      updated: object,
      manager: call.fieldManager,
      now,
    });
    setManagedFields(object, owners);
  }

  const request = {
    operation: 'CREATE' as const,
    call,
    name: object.metadata.name ?? '',
    object,
    oldObject: undefined,
  };
  const changed = await core.admission.mutate(request);
  const admitted = changed ? decodeAdmitted(call, request.object) : request.object;
  admitted.metadata.uid = randomUUID();
  admitted.metadata.creationTimestamp = now;

  const generated = admitted.metadata.name === undefined || admitted.metadata.name === '';
  if (generated && admitted.metadata.generateName !== undefined && admitted.metadata.generateName !== '') {
    admitted.metadata.name = freeName(core, call, admitted.metadata.generateName);
  }
  prepareForCreate(call, admitted);
  validateNew(call, admitted);
  core.authorizeWrite(call, admitted, undefined);
  await core.admission.validate({ ...request, name: admitted.metadata.name ?? '', object: admitted });
  return commitNew(core, call, admitted, generated);
}

/** No new objects of a CRD that is being deleted. */
function refuseWhileTerminating(core: Core, call: Call): void {
  if (!call.type.resource.custom) return;
  const { group, plural } = call.type.resource;
  const crd = core.store.get(
    'customresourcedefinitions.apiextensions.k8s.io',
    undefined,
    `${plural}.${group}`,
  );
  if (crd?.metadata.deletionTimestamp !== undefined) {
    throw methodNotAllowed('create', groupResource(call.type));
  }
}

function freeName(core: Core, call: Call, base: string): string {
  let name = generateName(base);
  for (let tries = 1; tries < GENERATE_NAME_TRIES; tries++) {
    if (core.store.get(storageName(call.type.resource), call.namespace, name) === undefined) return name;
    name = generateName(base);
  }
  return name;
}

function validateNew(call: Call, object: StoredObject): void {
  const errors = call.type.schema.validate(object);
  if (errors.length > 0) {
    throw invalid(
      call.type.resource.kind,
      storageGroup(call.type.resource),
      object.metadata.name ?? '',
      errors,
    );
  }
}

function commitNew(core: Core, call: Call, object: StoredObject, generated: boolean): StoredObject {
  const resource = storageName(call.type.resource);
  const name = object.metadata.name ?? '';
  const existing = core.store.get(resource, object.metadata.namespace, name);
  if (existing !== undefined) {
    if (existing.metadata.deletionTimestamp !== undefined)
      throw stillBeingDeleted(groupResource(call.type), name);
    throw generated
      ? generateNameConflict(groupResource(call.type), name)
      : alreadyExists(groupResource(call.type), name);
  }
  if (
    call.type.resource.namespaced &&
    core.store.get('namespaces', undefined, call.namespace ?? '') === undefined
  ) {
    throw notFound({ group: '', resource: 'namespaces' }, call.namespace ?? '');
  }
  core.allocate(object, undefined, call);
  if (call.dryRun) return call.type.schema.storedForm(object);
  return toVersion(core.store.put(resource, toStorage(object, call.type)), call.type);
}
