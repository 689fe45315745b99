import { malformedPatch } from './errors.ts';

/** RFC 7386. Returns a new document; object and patch stay as they were. A patch that is no object throws 400: it would leave no object. */
export function mergePatch<T>(object: T, patch: unknown): T {
  if (!isObject(patch)) {
    if (patch === null) throw malformedPatch('Invalid JSON Patch');
    const type = Array.isArray(patch) ? 'array' : typeof patch;
    throw malformedPatch(
      `error decoding patch: json: cannot unmarshal ${type} into Go value of type map[string]interface {}`,
    );
  }
  return merged(object, patch) as T;
}

function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch);
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else {
      const current = Object.hasOwn(result, key) ? result[key] : undefined;
      // Defined, not assigned: a key `__proto__` must stay a key.
      Object.defineProperty(result, key, {
        value: merged(current, value),
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
