import type { ListOptions, StoredObject } from '../types.ts';

/** Whether a list or watch with these options shows the object: equality selectors only. */
export function selects(options: ListOptions, object: StoredObject): boolean {
  if (options.namespace !== undefined && options.namespace !== object.metadata.namespace) return false;
  for (const [name, value] of terms(options.labelSelector))
    if (object.metadata.labels?.[name] !== value) return false;
  for (const [path, value] of terms(options.fieldSelector)) if (field(object, path) !== value) return false;
  return true;
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return structuredClone(patch);
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = structuredClone(base) as Record<string, unknown>;
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

function terms(selector: string | undefined): [string, string][] {
  if (selector === undefined || selector === '') return [];
  return selector.split(',').map((term) => {
    const [name = '', value = ''] = term.split('=');
    return [name, value];
  });
}

function field(object: StoredObject, path: string): unknown {
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value;
}
