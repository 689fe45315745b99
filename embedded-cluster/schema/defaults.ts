import type { StoredObject } from '../types.ts';
import { derivedDefaults, fixedDefaults } from './builtin-defaults.ts';
import type { TypeNode } from './type-node.ts';

/** Fills in, in place, the defaults of the schema and (for built-in types) the ones that OpenAPI does not carry. */
export function applyDefaults(object: StoredObject, root: TypeNode): void {
  defaultValue(object, root);
}

/** Removes, in place, nulls of fields that are not nullable. */
export function dropNulls(value: unknown, type: TypeNode): void {
  if (Array.isArray(value)) {
    if (type.kind === 'list') for (const item of value) dropNulls(item, type.items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, child] of Object.entries(value)) {
    const field = type.child(key);
    if (field === undefined) continue;
    if (child !== null) dropNulls(child, field);
    else if (field.schema.nullable !== true) delete value[key];
  }
}

function defaultValue(value: unknown, type: TypeNode): void {
  switch (type.kind) {
    case 'struct':
      if (isObject(value)) defaultStruct(value, type);
      return;
    case 'map':
      if (isObject(value)) for (const child of Object.values(value)) defaultValue(child, type.values);
      return;
    case 'list':
      if (Array.isArray(value)) for (const item of value) defaultValue(item, type.items);
      return;
    default:
  }
}

function defaultStruct(value: Record<string, unknown>, type: TypeNode): void {
  const name = shortDefinitionName(type);
  if (name !== undefined) {
    for (const [field, fallback] of Object.entries(fixedDefaults[name] ?? {})) {
      if (value[field] === undefined) value[field] = structuredClone(fallback);
    }
  }
  for (const field of type.fieldNames) {
    const fieldType = type.field(field);
    if (fieldType === undefined) continue;
    const { default: fallback, nullable } = fieldType.schema;
    const given = nullable === true ? value[field] : (value[field] ?? undefined);
    if (given === undefined && fallback !== undefined) value[field] = structuredClone(fallback);
  }
  // After the fields' own defaults (some depend on them) and before the children's (some are made here).
  if (name !== undefined) derivedDefaults[name]?.(value);
  for (const [field, child] of Object.entries(value)) {
    const fieldType = type.field(field);
    if (fieldType !== undefined) defaultValue(child, fieldType);
  }
}

/** `io.k8s.api.core.v1.Pod` -> `core.v1.Pod` */
export function shortDefinitionName(type: TypeNode): string | undefined {
  return type.definitionName?.split('.').slice(-3).join('.');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
