import { builtinTypes } from '../../schema/index.ts';
import type { StoredObject } from '../../types.ts';
import { badRequest } from '../errors.ts';
import { clone, isObject, text } from '../json.ts';
import { apiVersionOf } from '../registry.ts';
import type { Call } from './core.ts';

/**
 * A client's object in the form in which it is worked on: of the type asked for, unknown fields pruned (told or refused by `fieldValidation`), defaults
 * filled in. The input is not changed. Throws 400.
 */
export function decode(call: Call, input: unknown): StoredObject {
  const object = decodeWithoutDefaults(call, input);
  call.type.schema.applyDefaults(object);
  return object;
}

/** For applied configurations: defaults are not part of what their manager asks for. */
export function decodeWithoutDefaults(call: Call, input: unknown): StoredObject {
  const object = asType(call, input);
  const unknownFields = call.type.schema.prune(object);
  report(call, unknownFields);
  return object;
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
  const kind = input['kind'] ?? resource.kind;
  const version = input['apiVersion'] ?? apiVersion;
  if (!resource.custom && !isKnownKind(String(version), String(kind))) {
    const named = JSON.stringify(String(version).split('/').at(-1));
    throw badRequest(
      `${text(kind)} in version ${named} cannot be handled as a ${resource.kind}: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)} in scheme "pkg/runtime/scheme.go:110"`,
    );
  }
  if (version !== apiVersion) {
    throw badRequest(
      `the API version in the data (${text(version)}) does not match the expected API version (${apiVersion})`,
    );
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

function report(call: Call, unknownFields: readonly string[]): void {
  if (unknownFields.length === 0 || call.fieldValidation === 'Ignore') return;
  const texts = unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`);
  if (call.fieldValidation === 'Warn') {
    for (const text of texts) call.warn(text);
    return;
  }
  const { kind, version } = call.type.resource;
  throw badRequest(
    `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: strict decoding error: ${texts.join(', ')}`,
  );
}
