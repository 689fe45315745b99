import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { fixedDefaults } from './builtin-defaults.ts';
import { shortDefinitionName } from './defaults.ts';
import { canonicalQuantity } from '../../api/quantity.ts';
import type { TypeNode } from './type-node.ts';

/**
 * Makes the object what a Go decoder and encoder would make of it, in place: nulls and what is empty are dropped (`omitempty`), quantities canonical, fields
 * of no type removed.
 * Returns the paths of the removed ones. A value of a wrong JSON type throws 400 BadRequest in the decoder's words.
 */
export function decodeObject(object: StoredObject, root: TypeNode): string[] {
  const unknown: string[] = [];
  const { kind, apiVersion } = object;
  decodeStruct(object, root, {
    goPath: '',
    jsonPath: '',
    struct: kind,
    unknown,
    object: { kind, apiVersion },
  });
  return unknown;
}

interface Position {
  /** Path without indices, as the decoder names it. */
  goPath: string;
  /** Path with indices, as the strict decoder names unknown fields. */
  jsonPath: string;
  /** Go type that holds the field. */
  struct: string;
  unknown: string[];
  object: { kind: string; apiVersion: string };
}

function decodeStruct(value: Record<string, unknown>, type: TypeNode, at: Position): void {
  for (const key of Object.keys(value)) {
    const field = type.field(key);
    if (field === undefined) {
      if (type.preservesUnknown) continue;
      at.unknown.push(join(at.jsonPath, key));
      delete value[key];
      continue;
    }
    const child = value[key];
    if (child === null) {
      if (field.kind !== 'any') delete value[key];
      continue;
    }
    const decoded = decodeValue(child, field, {
      ...at,
      goPath: join(at.goPath, key),
      jsonPath: join(at.jsonPath, key),
    });
    if (isEmptyCollection(decoded, field) && !keepsEmpty(type, key)) delete value[key];
    else value[key] = decoded;
  }
}

function isEmptyCollection(value: unknown, type: TypeNode): boolean {
  if (type.kind === 'list') return Array.isArray(value) && value.length === 0;
  return type.kind === 'map' && isObject(value) && Object.keys(value).length === 0;
}

/** Lists without `omitempty` are the required ones and those that are written as null when they were never set. */
function keepsEmpty(type: TypeNode, key: string): boolean {
  // An empty list of owners is how a client resets them.
  if (key === 'managedFields' || type.schema.required?.includes(key) === true) return true;
  return Object.hasOwn(fixedDefaults[shortDefinitionName(type) ?? ''] ?? {}, key);
}

function decodeValue(value: unknown, type: TypeNode, at: Position): unknown {
  switch (type.kind) {
    case 'struct':
      if (!isObject(value)) throw wrongType(value, type, at);
      decodeStruct(value, type, { ...at, struct: goStructName(type, at.struct) });
      return value;
    case 'map':
      if (!isObject(value)) throw wrongType(value, type, at);
      for (const [key, child] of Object.entries(value)) {
        value[key] =
          child === null
            ? zeroValue(type.values)
            : decodeValue(child, type.values, { ...at, jsonPath: `${at.jsonPath}.${key}` });
      }
      return value;
    case 'list':
      if (!Array.isArray(value)) throw wrongType(value, type, at);
      return value.map((item: unknown, index) =>
        item === null
          ? zeroValue(type.items)
          : decodeValue(item, type.items, { ...at, jsonPath: `${at.jsonPath}[${index}]` }),
      );
    case 'string':
      return decodeString(value, type, at);
    case 'integer':
      if (typeof value !== 'number' || !Number.isInteger(value) || !fitsInteger(value, type)) {
        throw wrongType(value, type, at);
      }
      return value;
    case 'number':
      if (typeof value !== 'number') throw wrongType(value, type, at);
      return value;
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(value, type, at);
      return value;
    case 'intOrString':
      if (typeof value !== 'string' && !Number.isInteger(value)) throw wrongType(value, type, at);
      return value;
    case 'quantity':
      return decodeQuantity(value, at);
    default:
      return value;
  }
}

function decodeString(value: unknown, type: TypeNode, at: Position): string {
  if (typeof value !== 'string') throw wrongType(value, type, at);
  if (type.schema.format === 'date-time') return decodeTime(value, type, at);
  if (type.schema.format === 'byte') {
    const bad = /[^A-Za-z0-9+/=\r\n]/.exec(value);
    if (bad !== null) throw badRequest(at, `illegal base64 data at input byte ${bad.index}`);
  }
  return value;
}

/** metav1.Time keeps whole seconds in UTC, MicroTime six digits. */
function decodeTime(value: string, type: TypeNode, at: Position): string {
  const parsed = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const milliseconds = parsed === null ? Number.NaN : Date.parse(value);
  const isMicroTime = type.definitionName?.endsWith('.MicroTime') === true;
  const layout = isMicroTime ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
  const failure = (text: string, part: string): ApiError =>
    badRequest(
      at,
      `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(text)} as "${part}"`,
    );
  if (parsed === null || Number.isNaN(milliseconds)) throw failure(value, '2006');
  const [, , fraction = '', zone = ''] = parsed;
  const seconds = new Date(milliseconds).toISOString().slice(0, 19);
  if (!isMicroTime) return `${seconds}Z`;
  // Go reads exactly as many digits as its layout has.
  if (fraction.length !== 7) throw failure(fraction + zone, '.000000');
  return `${seconds}${fraction}Z`;
}

function decodeQuantity(value: unknown, at: Position): string {
  const canonical =
    typeof value === 'string' || typeof value === 'number' ? canonicalQuantity(String(value)) : undefined;
  if (canonical === undefined) {
    throw badRequest(
      at,
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  }
  return canonical;
}

function fitsInteger(value: number, type: TypeNode): boolean {
  return type.schema.format !== 'int32' || Math.abs(value + 0.5) <= 2 ** 31;
}

/** What Go leaves in a slice or map element that was null. */
function zeroValue(type: TypeNode): unknown {
  switch (type.kind) {
    case 'struct':
    case 'map':
      return {};
    case 'list':
      return [];
    case 'string':
      // A time that was never set is written as null.
      return type.schema.format === 'date-time' ? null : '';
    case 'integer':
    case 'number':
    case 'intOrString':
      return 0;
    case 'quantity':
      return '0';
    case 'boolean':
      return false;
    default:
      return null;
  }
}

function wrongType(value: unknown, type: TypeNode, at: Position): ApiError {
  return badRequest(
    at,
    `json: cannot unmarshal ${jsonTypeName(value)} into Go struct field ${at.struct}.${at.goPath} of type ${goTypeName(type)}`,
  );
}

function badRequest(at: Position, message: string): ApiError {
  const { kind, apiVersion } = at.object;
  const version = apiVersion.slice(apiVersion.lastIndexOf('/') + 1);
  return ApiError.of(400, `${kind} in version "${version}" cannot be handled as a ${kind}: ${message}`, {
    reason: 'BadRequest',
  });
}

function jsonTypeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'number' : `number ${value}`;
    default:
      return typeof value;
  }
}

function goTypeName(type: TypeNode): string {
  switch (type.kind) {
    case 'struct':
      return type.definitionName === undefined ? 'struct' : goQualifiedName(type.definitionName);
    case 'map':
      return `map[string]${goTypeName(type.values)}`;
    case 'list':
      return `[]${goTypeName(type.items)}`;
    case 'integer':
      return type.schema.format ?? 'int';
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    case 'intOrString':
      return 'int32';
    default:
      return 'string';
  }
}

/** `io.k8s.api.core.v1.Container` -> `v1.Container` */
function goQualifiedName(definitionName: string): string {
  return definitionName.split('.').slice(-2).join('.');
}

function goStructName(type: TypeNode, parent: string): string {
  return type.definitionName?.slice(type.definitionName.lastIndexOf('.') + 1) ?? parent;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
