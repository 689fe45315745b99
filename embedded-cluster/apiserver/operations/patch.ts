import { jsonPatch, mergePatch } from '../../schema/index.ts';
import type { StoredObject } from '../../types.ts';
import { ApiError } from '../../types.ts';
import { badRequest, invalid, notFound, unsupportedMediaType, unsupportedPatchType } from '../errors.ts';
import { isObject, text } from '../json.ts';
import { type Call, type Core, groupResource, timestamp } from './core.ts';
import { storeNew } from './create.ts';
import { decode, decodeWithoutDefaults } from './decode.ts';
import { type Change, findLive, nameMismatch, nameMissing, updateLive } from './update.ts';

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
    object: named(call, decodePatched(call, patched(call, live, request))),
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
function decodePatched(call: Call, object: unknown): StoredObject {
  try {
    return decode(call, object);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    const problem = error.message.replace(/^.* cannot be handled as a [^:]+: /, '');
    throw invalid('', '', '', [
      {
        field: 'patch',
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${problem}`,
      },
    ]);
  }
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
  if (!isObject(body)) throw badRequest('error decoding YAML: the applied configuration must be an object');
  const applied = decodeApplied(call, body);
  if (findLive(core, call) === undefined) {
    if (call.subresource !== '') throw notFound(groupResource(call.type), call.name);
    return {
      object: await storeNew(
        core,
        call,
        decodeMerged(call, merge(core, call, undefined, applied, force)),
        true,
      ),
      created: true,
    };
  }
  const object = await updateLive(core, call, (live): Change => ({
    object: decodeMerged(call, merge(core, call, live, applied, force)),
    managed: true,
  }));
  return { object, created: false };
}

function decodeApplied(call: Call, body: Record<string, unknown>): StoredObject {
  const metadata = isObject(body['metadata']) ? body['metadata'] : {};
  if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  const name = metadata['name'];
  if (name !== undefined && name !== call.name) {
    throw badRequest(
      `the name of the object (${text(name)}) does not match the name on the URL (${call.name})`,
    );
  }
  return decodeWithoutDefaults(call, {
    ...body,
    metadata: {
      ...metadata,
      name: call.name,
      ...(call.namespace === undefined ? {} : { namespace: call.namespace }),
    },
  });
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

function decodeMerged(call: Call, object: StoredObject): StoredObject {
  return decode({ ...call, fieldValidation: 'Ignore' }, object);
}
