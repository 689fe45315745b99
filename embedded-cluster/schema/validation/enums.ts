import { notSupported } from '../errors.ts';
import type { TypeNode } from '../type-node.ts';
import type { FieldError } from '../types.ts';

/**
 * Values that are none of the ones in the generated data. Status is left out: it is written by controllers, and the real server does not
 * check it either. An empty string counts as not set.
 */
export function validateEnums(object: Record<string, unknown>, type: TypeNode): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(object)) {
    const field = type.field(key);
    if (field !== undefined && key !== 'status' && key !== 'metadata') visit(value, field, key, errors);
  }
  return errors;
}

function visit(value: unknown, type: TypeNode, path: string, errors: FieldError[]): void {
  if (typeof value === 'string') {
    const allowed = type.schema.enum;
    if (allowed !== undefined && value !== '' && !allowed.includes(value)) {
      errors.push(notSupported(path, value, allowed));
    }
  } else if (Array.isArray(value)) {
    if (type.kind !== 'list') return;
    for (const [index, item] of value.entries()) visit(item, type.items, `${path}[${index}]`, errors);
  } else if (typeof value === 'object' && value !== null) {
    if (type.kind !== 'struct' && type.kind !== 'map') return;
    for (const [key, child] of Object.entries(value)) {
      const field = type.child(key);
      if (field !== undefined) visit(child, field, `${path}.${key}`, errors);
    }
  }
}
