import { builtinTypes } from '../../schema/index.ts';
import type { StoredObject } from '../../types.ts';
import { ApiError } from '../../types.ts';
import { badRequest, internalError, invalid } from '../errors.ts';
import { clone, isObject, text, valueAt } from '../json.ts';
import { apiVersionOf, storageName } from '../registry.ts';
import type { Call } from './core.ts';

/**
 * A client's object in the form in which it is worked on: of the type asked for, unknown fields pruned (told or refused by `fieldValidation`), defaults
 * filled in. The input is not changed. Throws 400. `nullsStay`: see `ObjectSchema.applyDefaults`.
 */
export function decode(call: Call, input: unknown, nullsStay = false): StoredObject {
  const object = asType(call, input);
  reportFields(call, 'unknown', call.type.schema.prune(object));
  foldStringData(call, object);
  call.type.schema.applyDefaults(object, nullsStay);
  return object;
}

/** What a webhook made of an object; where it is none of that type any more, that is the server's own failure: 500. */
export function decodeAdmitted(call: Call, input: unknown): StoredObject {
  try {
    return decode({ ...call, fieldValidation: 'Ignore' }, input);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    throw internalError(decodingProblem(error));
  }
}

/** Why an object could not be decoded, without the frame for clients. */
export function decodingProblem(error: ApiError): string {
  return error.message.replace(/^.* cannot be handled as a [^:]+: /, '');
}

/** Of a Secret: write-only `stringData` becomes `data`. */
function foldStringData(call: Call, object: StoredObject): void {
  if (storageName(call.type.resource) !== 'secrets') return;
  const strings = object['stringData'];
  delete object['stringData'];
  if (!isObject(strings)) return;
  const data = isObject(object['data']) ? object['data'] : {};
  for (const [key, value] of Object.entries(strings)) {
    data[key] = Buffer.from(String(value), 'utf8').toString('base64');
  }
  object['data'] = data;
}

function asType(call: Call, input: unknown): StoredObject {
  const { resource } = call.type;
  const apiVersion = apiVersionOf(resource);
  if (input === null) return { apiVersion, kind: resource.kind, metadata: {} };
  if (!isObject(input)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; json parse error: ${input === undefined ? 'unexpected end of JSON input (<empty>)' : 'the value is not an object'}`,
    );
  }
  if (resource.custom && input['kind'] === undefined) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): Object 'Kind' is missing in '${JSON.stringify(input)}'`,
    );
  }
  const kind = input['kind'] ?? resource.kind;
  const version = input['apiVersion'] ?? apiVersion;
  if (!resource.custom && !isKnownKind(text(version), text(kind))) {
    const named = JSON.stringify(text(version).split('/').at(-1));
    throw badRequest(
      `${text(kind)} in version ${named} cannot be handled as a ${resource.kind}: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)} in scheme "pkg/runtime/scheme.go:110"`,
    );
  }
  if (version !== apiVersion) {
    throw badRequest(
      `the API version in the data (${text(version)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (kind !== resource.kind && resource.custom) {
    throw invalid(text(kind), resource.group, text(valueAt(input, 'metadata.name')), [
      {
        field: 'kind',
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${JSON.stringify(kind)}: must be ${resource.kind}`,
      },
    ]);
  }
  if (kind !== resource.kind) {
    const short = resource.group === '' ? 'core' : (resource.group.split('.', 1)[0] ?? '');
    throw badRequest(
      `${text(kind)} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: converting (${resource.version}.${text(kind)}) to (${short}.${resource.kind}): unknown conversion`,
    );
  }
  const metadata = input['metadata'] ?? {};
  if (!isObject(metadata)) {
    throw badRequest(
      `${resource.kind} in version ${JSON.stringify(apiVersion.split('/').at(-1))} cannot be handled as a ${resource.kind}: json: cannot unmarshal ${typeof metadata} into Go struct field ${resource.kind}.metadata of type v1.ObjectMeta`,
    );
  }
  const copy = clone(input);
  // Servers have long ceased to set it, and none keeps it.
  const { selfLink: _selfLink, ...kept } = clone(metadata);
  return { ...copy, apiVersion, kind: resource.kind, metadata: kept };
}

let knownKinds: ReadonlySet<string> | undefined;

/** Whether a built-in kind exists in that version. */
function isKnownKind(version: string, kind: string): boolean {
  knownKinds ??= new Set(builtinTypes().map(({ resource }) => `${apiVersionOf(resource)}/${resource.kind}`));
  return knownKinds.has(`${version}/${kind}`);
}

/** Tells the client of fields that do not count, or refuses them, as `fieldValidation` says. */
export function reportFields(call: Call, problem: 'unknown' | 'duplicate', fields: readonly string[]): void {
  if (fields.length === 0 || call.fieldValidation === 'Ignore') return;
  const texts = fields.map((field) => `${problem} field ${JSON.stringify(field)}`);
  if (call.fieldValidation === 'Warn') {
    for (const text of texts) call.warn(text);
    return;
  }
  const { kind, version } = call.type.resource;
  throw badRequest(
    `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: strict decoding error: ${texts.join(', ')}`,
  );
}
