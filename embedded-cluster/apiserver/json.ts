/** JSON values as trees: copy, compare, read by path. */

export type JsonObject = Record<string, unknown>;

/** A JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A deep copy of a JSON value; several times faster than structuredClone, which has to look out for cycles. */
export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => clone(item)) as T;
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) copy[key] = clone(value[key]);
  return copy as T;
}

/** Deep equality of JSON values; a member that is undefined equals one that is absent. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) && a.length === b.length && a.every((item: unknown, index) => equal(item, b[index]))
    );
  }
  if (!isObject(a) || !isObject(b)) return false;
  for (const key of Object.keys(a)) if (!equal(a[key], b[key])) return false;
  for (const key of Object.keys(b)) if (b[key] !== undefined && a[key] === undefined) return false;
  return true;
}

/** The value at `spec.replicas`; undefined where the way there ends. A leading dot is allowed (CRD paths). */
export function valueAt(value: unknown, path: string): unknown {
  let current = value;
  for (const part of path.split('.')) {
    if (part === '') continue;
    if (!isObject(current)) return undefined;
    current = current[part];
  }
  return current;
}

/** Sets the value at `spec.replicas` in place and makes the objects on the way. */
export function setAt(target: JsonObject, path: string, value: unknown): void {
  const parts = path.split('.').filter((part) => part !== '');
  const last = parts.pop();
  if (last === undefined) return;
  let current = target;
  for (const part of parts) {
    const next = current[part];
    if (isObject(next)) current = next;
    else {
      const made: JsonObject = {};
      current[part] = made;
      current = made;
    }
  }
  current[last] = value;
}

/** A scalar as text; '' for null and what is absent, JSON for objects and lists (which only malformed input has where text is expected). */
export function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
