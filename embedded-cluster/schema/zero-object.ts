import type { StoredObject } from '../types.ts';
import { fixedDefaults } from './builtin-defaults.ts';
import { shortDefinitionName } from './defaults.ts';
import type { TypeNode } from './type-node.ts';

/** An object of that kind with nothing set, as the real server writes one: what a create is compared with. */
export function zeroObject(type: TypeNode, apiVersion: string, kind: string): StoredObject {
  return { ...zeroStruct(type), apiVersion, kind, metadata: {} };
}

/** Only fields whose default is the type's own zero value; chosen defaults are a change that somebody made. */
function zeroStruct(type: TypeNode): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const name of type.fieldNames) {
    const field = type.field(name);
    if (field === undefined) continue;
    const fallback = field.schema.default;
    if (field.kind === 'struct' && isEmptyObject(fallback)) result[name] = zeroStruct(field);
    else if (fallback === '' || fallback === 0 || fallback === false) result[name] = fallback;
    else if (field.kind === 'list' && type.schema.required?.includes(name) === true) result[name] = null;
  }
  // Lists and times that the real server writes as null when they were never set.
  for (const [name, fallback] of Object.entries(fixedDefaults[shortDefinitionName(type) ?? ''] ?? {})) {
    if (fallback === null) result[name] = null;
  }
  return result;
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
