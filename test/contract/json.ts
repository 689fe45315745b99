export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a dotted path, an array's items by their index; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  let current = value;
  for (const key of path.split('.')) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Json)[key];
  }
  return current;
}

/** As `at`, for what must be a string. Throws when it is none. */
export function stringAt(value: unknown, path: string): string {
  const found = at(value, path);
  if (typeof found !== 'string') throw new Error(`no string at ${path} of ${JSON.stringify(value)}`);
  return found;
}

/** As `at`, for what must be a list. Throws when it is none. */
export function listAt(value: unknown, path: string): unknown[] {
  const found = at(value, path);
  if (!Array.isArray(found)) throw new Error(`no list at ${path} of ${JSON.stringify(value)}`);
  return found;
}

/** metadata.name of a list's items. */
export function names(list: unknown): unknown[] {
  return listAt(list, 'items').map((item) => at(item, 'metadata.name'));
}
