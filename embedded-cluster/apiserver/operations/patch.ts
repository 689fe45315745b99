import { jsonPatch, mergePatch } from '../../schema/index.ts';
import type { StoredObject } from '../../types.ts';
import { ApiError } from '../../types.ts';
import {
  badRequest,
  conflict,
  invalid,
  notFound,
  unsupportedMediaType,
  unsupportedPatchType,
} from '../errors.ts';
import { isObject, text } from '../json.ts';
import { apiVersionOf } from '../registry.ts';
import { type Call, type Core, groupResource, timestamp } from './core.ts';
import { storeNew } from './create.ts';
import { decode, decodingProblem } from './decode.ts';
import { type Change, findLive, nameMismatch, nameMissing, updateLive } from './update.ts';

/** The kinds of patches, by their media types. */
export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface Patch {
  /** Media type of the body. */
  type: string;
  body: unknown;
  /** Take over fields that others own (apply only). */
  force: boolean;
}

export interface PatchResult {
  object: StoredObject;
  /** Apply has made a new object: 201. */
  created: boolean;
}

/** PATCH of an object or its status. */
export async function patch(core: Core, call: Call, request: Patch): Promise<PatchResult> {
  if (request.type === PATCH_TYPES.apply) return apply(core, call, request);
  const object = await updateLive(core, call, (live) => ({
    object: named(call, decodePatched(call, patched(call, live, request), request)),
    managed: false,
  }));
  return { object, created: false };
}

/** The live object with a patch in it; throws 415 for a media type that the resource does not take. */
export function patched(call: Call, live: StoredObject, { type, body }: Patch): unknown {
  switch (type) {
    case PATCH_TYPES.json:
      return jsonPatch(live, body);
    case PATCH_TYPES.merge:
      return mergePatch(live, body);
    case PATCH_TYPES.strategic:
      if (call.type.resource.custom) {
        throw unsupportedMediaType([PATCH_TYPES.json, PATCH_TYPES.merge, PATCH_TYPES.apply]);
      }
      return call.type.schema.strategicMergePatch(live, body);
    default:
      throw unsupportedPatchType();
  }
}

/** What a patch made is the server's to judge, not the decoder's: 422, with the decoder's words. */
function decodePatched(call: Call, object: unknown, { type, body }: Patch): StoredObject {
  try {
    return decode(call, object);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    const isStrategic = type === PATCH_TYPES.strategic;
    const problem = isStrategic ? converterProblem(decodingProblem(error)) : decodingProblem(error);
    const shown = JSON.stringify(JSON.stringify(isStrategic ? body : object));
    throw invalid('', '', '', [
      { field: 'patch', reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${problem}` },
    ]);
  }
}

/** Strategic patches go through another decoder, which has words of its own. */
function converterProblem(problem: string): string {
  const [, from = '', to] =
    /^json: cannot unmarshal (\w+) into Go struct field \S+ of type (.+)$/.exec(problem) ?? [];
  if (to === undefined) return problem;
  if (to.startsWith('[]')) return `cannot restore slice from ${from}`;
  if (to.startsWith('map[')) return `cannot restore map from ${from}`;
  return /^[a-z0-9]+$/.test(to) ? `unrecognized type: ${to}` : `cannot restore struct from: ${from}`;
}

/** A patch may not rename. */
function named(call: Call, object: StoredObject): StoredObject {
  const { name } = object.metadata;
  if (name === undefined || name === '') throw nameMissing(call);
  if (name !== call.name) throw nameMismatch(call, name);
  return object;
}

async function apply(core: Core, call: Call, { body, force }: Patch): Promise<PatchResult> {
  if (call.fieldManager === '') {
    throw invalid('PatchOptions', 'meta.k8s.io', '', [
      {
        field: 'fieldManager',
        reason: 'FieldValueRequired',
        message: 'Required value: is required for apply patch',
      },
    ]);
  }
  const applied = appliedObject(call, body);
  const live = findLive(core, call);
  if (live === undefined) {
    if (call.subresource !== '') throw notFound(groupResource(call.type), call.name);
    requireAbsent(call, applied);
    const made = decodeMerged(call, merge(core, call, undefined, applied, force));
    return { object: await storeNew(core, call, made, true), created: true };
  }
  const object = await updateLive(core, call, (current): Change => ({
    object: named(call, decodeMerged(call, merge(core, call, current, applied, force))),
    managed: true,
  }));
  return { object, created: false };
}

/** An applied configuration as it came, for its manager owns what it says and no more; throws 400. */
function appliedObject(call: Call, body: unknown): StoredObject {
  if (!isObject(body)) throw badRequest('error decoding YAML: the applied configuration must be an object');
  const { apiVersion = '', kind = '' } = body;
  const expected = apiVersionOf(call.type.resource);
  if (apiVersion !== expected || kind !== call.type.resource.kind) {
    const version = text(apiVersion);
    const gvk = `${version === '' || version.includes('/') ? version || '/' : `/${version}`}, Kind=${text(kind)}`;
    throw badRequest(`invalid object type: ${gvk}`);
  }
  const metadata = isObject(body['metadata']) ? body['metadata'] : {};
  if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  const { name, namespace } = metadata;
  if (name !== undefined && name !== call.name) throw nameMismatch(call, text(name));
  if (namespace !== undefined && namespace !== call.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  return {
    ...body,
    apiVersion: expected,
    kind: call.type.resource.kind,
    metadata: body['metadata'] ?? {},
  };
}

/** Something that names what it was can't be made anew. */
function requireAbsent(call: Call, { metadata }: StoredObject): void {
  if (metadata.uid === undefined || metadata.uid === '') return;
  throw conflict(
    groupResource(call.type),
    call.name,
    `uid mismatch: the provided object specified uid ${metadata.uid}, and no existing object was found`,
  );
}

function merge(
  core: Core,
  call: Call,
  live: StoredObject | undefined,
  applied: StoredObject,
  force: boolean,
): StoredObject {
  return call.type.schema.serverSideApply({
    live,
    applied,
    manager: call.fieldManager,
    force,
    ...(call.subresource === '' ? {} : { subresource: call.subresource }),
    now: timestamp(core.now()),
  });
}

/** The real server decodes nothing here: nulls of a custom resource are left to validation. */
function decodeMerged(call: Call, object: StoredObject): StoredObject {
  const metadata = { ...object.metadata, name: object.metadata.name ?? call.name };
  return decode({ ...call, fieldValidation: 'Ignore' }, { ...object, metadata }, true);
}
