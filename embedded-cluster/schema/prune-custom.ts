import type { StoredObject } from '../types.ts';
import { decodeObject } from './decode.ts';
import { typeOfCustomResource } from './type-node.ts';
import type { TypeNode } from './type-node.ts';

/**
 * Removes, in place, what the schema of a CRD does not specify, and returns the paths. Only metadata is typed (400 where it is wrong): other
 * values of a wrong type are left for validation, which reports them as 422.
 */
export function pruneCustom(object: StoredObject, root: TypeNode): string[] {
  const unknown: string[] = [];
  const { metadata, ...rest } = object;
  const { apiVersion, kind } = object;
  unknown.push(...decodeObject({ apiVersion, kind, metadata }, headerType()));
  const ofMetadata = unknown.length;
  pruneValue(rest, root, '', unknown);
  const others = unknown.splice(ofMetadata).sort();
  unknown.push(...others);
  for (const key of Object.keys(object)) if (key !== 'metadata' && !(key in rest)) delete object[key];
  return unknown;
}

let header: TypeNode | undefined;

/** What every custom resource has: apiVersion, kind and typed metadata. Made at first use, since it reads generated data. */
function headerType(): TypeNode {
  header ??= typeOfCustomResource({ type: 'object' });
  return header;
}

function pruneValue(value: unknown, type: TypeNode, path: string, unknown: string[]): void {
  if (Array.isArray(value)) {
    if (type.kind !== 'list') return;
    for (const [index, item] of value.entries()) pruneValue(item, type.items, `${path}[${index}]`, unknown);
    return;
  }
  if (!isObject(value) || type.kind === 'any') return;
  if (type.kind === 'map') {
    for (const [key, child] of Object.entries(value)) {
      pruneValue(child, type.values, `${path}.${key}`, unknown);
    }
    return;
  }
  if (type.kind === 'struct') pruneStruct(value, type, path, unknown);
}

function pruneStruct(value: Record<string, unknown>, type: TypeNode, path: string, unknown: string[]): void {
  for (const [key, child] of Object.entries(value)) {
    const field = type.field(key);
    const childPath = path === '' ? key : `${path}.${key}`;
    if (field !== undefined) {
      pruneValue(child, field, childPath, unknown);
    } else if (!type.preservesUnknown) {
      unknown.push(childPath);
      delete value[key];
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
