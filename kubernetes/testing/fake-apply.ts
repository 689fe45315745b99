import { isDeepStrictEqual } from 'node:util';

type Fields = Record<string, unknown>;

/** Whether a value is a JSON object. */
export function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What of an applied object is owned: all but what the server gives. */
export function appliedFields(object: Fields): Fields {
  const {
    resourceVersion: _rv,
    uid: _uid,
    managedFields: _fields,
    ...metadata
  } = object['metadata'] as Fields;
  return structuredClone({ ...object, metadata });
}

/**
 * Server-side apply as far as controllers need it from a fake: maps are merged, all else (lists too) is replaced whole; what this manager
 * applied before and leaves out now goes, unless another one applies it too; another manager's different value is a conflict.
 */
export function mergeApplied(
  live: Fields,
  mine: Fields,
  before: Fields,
  others: [manager: string, fields: Fields][],
  force: boolean,
): { object: Fields } | { conflict: string } {
  for (const [manager, fields] of others) {
    const path = force ? undefined : differingPath(mine, fields, '');
    if (path !== undefined) return { conflict: `"${manager}": ${path}` };
  }
  const kept = withoutGone(
    structuredClone(live),
    before,
    mine,
    others.map(([, fields]) => fields),
  );
  return { object: mergeInto(kept, mine) };
}

/** JSON merge patch (RFC 7396). */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Fields = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function differingPath(a: Fields, b: Fields, path: string): string | undefined {
  for (const [key, value] of Object.entries(a)) {
    if (!Object.hasOwn(b, key)) continue;
    const other = b[key];
    if (isMap(value) && isMap(other)) {
      const inner = differingPath(value, other, `${path}.${key}`);
      if (inner !== undefined) return inner;
    } else if (!isDeepStrictEqual(value, other)) return `${path}.${key}`;
  }
  return undefined;
}

function withoutGone(live: Fields, before: Fields, mine: Fields, others: Fields[]): Fields {
  for (const [key, old] of Object.entries(before)) {
    const theirs = others.filter((o) => Object.hasOwn(o, key)).map((o) => o[key]);
    const value = live[key];
    if (isMap(old) && isMap(value)) {
      const now = mine[key];
      live[key] = withoutGone(value, old, isMap(now) ? now : {}, theirs.filter(isMap));
    } else if (!Object.hasOwn(mine, key) && theirs.length === 0) delete live[key];
  }
  return live;
}

function mergeInto(live: Fields, mine: Fields): Fields {
  for (const [key, value] of Object.entries(mine)) {
    const now = live[key];
    live[key] = isMap(value) && isMap(now) ? mergeInto(now, value) : structuredClone(value);
  }
  return live;
}
