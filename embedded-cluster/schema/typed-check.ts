import { elementText } from './field-set.ts';
import type { TypeNode } from './type-node.ts';
import { elementOf } from './typed-value.ts';

/** The first place where an applied configuration does not fit the type, in the real server's words; undefined where it fits. */
export function checkDeclared(value: unknown, type: TypeNode, path = ''): string | undefined {
  if (value === null || value === undefined) return undefined;
  switch (type.kind) {
    case 'struct':
    case 'map':
      return checkFields(value, type, path);
    case 'list':
      return checkItems(value, type, path);
    case 'string':
      return typeof value === 'string' ? undefined : `${path}: expected string, got ${describe(value)}`;
    case 'integer':
    case 'number':
      return typeof value === 'number'
        ? undefined
        : `${path}: expected numeric (int or float), got ${describe(value)}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `${path}: expected boolean, got ${describe(value)}`;
    default:
      return undefined;
  }
}

function checkFields(value: unknown, type: TypeNode, path: string): string | undefined {
  if (typeof value !== 'object' || Array.isArray(value))
    return `${path}: expected map, got ${describe(value)}`;
  for (const [key, child] of Object.entries(value ?? {})) {
    const field = type.child(key);
    if (field === undefined) return `${path}.${key}: field not declared in schema`;
    const problem = checkDeclared(child, field, `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkItems(value: unknown, type: TypeNode, path: string): string | undefined {
  if (!Array.isArray(value)) return `${path}: expected list, got ${describe(value)}`;
  const keyed = type.listMerge.type !== 'atomic';
  for (const [index, item] of value.entries()) {
    const element = keyed ? elementText(elementOf(item, type, path, index)) : `[${index}]`;
    const problem = checkDeclared(item, type.items, path + element);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  return typeof value === 'object' ? 'map' : typeof value;
}
