import { isDeepStrictEqual } from 'node:util';
import { brokenStrategicPatch, malformedPatch } from './errors.ts';
import type { TypeNode } from './type-node.ts';
import { untyped } from './type-node.ts';

/**
 * `application/strategic-merge-patch+json` (k8s.io/apimachinery/pkg/util/strategicpatch): a merge patch in which lists with a merge key merge by
 * it, with the directives `$patch`, `$retainKeys`, `$setElementOrder/<field>` and `$deleteFromPrimitiveList/<field>`.
 */

type Fields = Record<string, unknown>;

const patchDirective = '$patch';
const retainKeysDirective = '$retainKeys';
const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** Returns a new object; both arguments stay as they were. A patch that is malformed throws 400. */
export function strategicMergePatch<T>(current: T, patch: unknown, type: TypeNode): T {
  if (!isObject(patch)) {
    const got = Array.isArray(patch) ? 'array' : typeof patch;
    throw malformedPatch(`json: cannot unmarshal ${got} into Go value of type map[string]interface {}`);
  }
  return structuredClone(mergeObject(isObject(current) ? current : {}, patch, type)) as T;
}

function mergeObject(current: Fields, patch: Fields, type: TypeNode): Fields {
  switch (patch[patchDirective]) {
    case undefined:
    case 'merge':
      break;
    case 'replace':
      return withoutDirectives(patch);
    case 'delete':
      return {};
    default:
      throw brokenStrategicPatch(
        `unknown patch type: ${goText(patch[patchDirective])} in map: ${goText(patch)}`,
      );
  }
  const result = retained(current, patch[retainKeysDirective]);
  const listDirectives = new Set<string>();
  for (const [key, value] of Object.entries(patch)) {
    if (key === patchDirective || key === retainKeysDirective) continue;
    if (key.startsWith(orderPrefix) || key.startsWith(deletePrefix)) {
      listDirectives.add(key.slice(key.indexOf('/') + 1));
    } else if (value === null) {
      delete result[key];
    } else {
      result[key] = mergeField(result[key], value, patch, key, type.child(key) ?? untyped);
      listDirectives.delete(key);
    }
  }
  // A list of which the patch only says what to delete or how to order it.
  for (const key of listDirectives) {
    if (patch[key] !== undefined || result[key] === undefined) continue;
    result[key] = mergeField(result[key], [], patch, key, type.child(key) ?? untyped);
  }
  return result;
}

function mergeField(current: unknown, value: unknown, patch: Fields, key: string, type: TypeNode): unknown {
  if (Array.isArray(value)) return mergeList(current, value, patch, key, type);
  if (!isObject(value)) return value;
  if (type.schema['x-kubernetes-patch-strategy'] === 'replace' && isObject(current)) {
    return withoutDirectives(value);
  }
  return mergeObject(isObject(current) ? current : {}, value, type);
}

function mergeList(current: unknown, value: unknown[], patch: Fields, key: string, type: TypeNode): unknown {
  const strategies = type.schema['x-kubernetes-patch-strategy']?.split(',') ?? [];
  const deletions = listDirective(patch, deletePrefix + key);
  const order = listDirective(patch, orderPrefix + key);
  if (!strategies.includes('merge')) return value.map(withoutNestedDirectives);
  const existing = Array.isArray(current) ? (current as unknown[]) : [];
  const mergeKey = type.schema['x-kubernetes-patch-merge-key'];
  const merged =
    mergeKey === undefined
      ? mergePrimitives(existing, value, deletions)
      : mergeByKey(existing, value, mergeKey, type.items);
  return ordered(merged, order.length > 0 ? order : value, existing, mergeKey);
}

function mergePrimitives(current: unknown[], value: unknown[], deletions: unknown[]): unknown[] {
  const kept = current.filter((item) => !deletions.includes(item));
  return [...kept, ...value.filter((item) => !kept.includes(item))];
}

function mergeByKey(current: unknown[], patch: unknown[], mergeKey: string, type: TypeNode): unknown[] {
  const replaces = patch.some((item) => isObject(item) && item[patchDirective] === 'replace');
  // A list that is replaced is replaced by what stands beside the directive.
  if (replaces) return patch.filter((item) => !isObject(item) || item[patchDirective] === undefined);
  let result = [...current];
  for (const item of patch) {
    if (!isObject(item)) throw brokenStrategicPatch(`expected a list of objects merged by ${mergeKey}`);
    const identity = item[mergeKey];
    if (identity === undefined) {
      throw brokenStrategicPatch(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
    }
    const same = (candidate: unknown): boolean =>
      isObject(candidate) && isDeepStrictEqual(candidate[mergeKey], identity);
    if (item[patchDirective] === 'delete') {
      result = result.filter((candidate) => !same(candidate));
      continue;
    }
    const index = result.findIndex(same);
    const merged = mergeObject(index < 0 ? {} : asObject(result[index]), item, type);
    if (index < 0) result.push(merged);
    else result[index] = merged;
  }
  return result;
}

/**
 * Items that the patch names come in its order (`$setElementOrder`, else the patch list itself); those that only the server has are woven in
 * before the first named one that they preceded in the live list. Relative orders within both are kept.
 */
function ordered(
  items: unknown[],
  order: unknown[],
  live: unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const identity = (item: unknown): string =>
    JSON.stringify(mergeKey === undefined ? item : asObject(item)[mergeKey]);
  const rankIn = (list: unknown[]): Map<string, number> =>
    new Map(list.map((item, index) => [identity(item), index]));
  const patchRank = rankIn(order);
  const liveRank = rankIn(live);
  const by = (rank: Map<string, number>) => (a: unknown, b: unknown) =>
    (rank.get(identity(a)) ?? 0) - (rank.get(identity(b)) ?? 0);
  const named = items.filter((item) => patchRank.has(identity(item))).sort(by(patchRank));
  const others = items.filter((item) => !patchRank.has(identity(item))).sort(by(liveRank));
  const result: unknown[] = [];
  for (const item of named) {
    const rank = liveRank.get(identity(item)) ?? -1;
    while (others.length > 0 && (liveRank.get(identity(others[0])) ?? 0) < rank) result.push(others.shift());
    result.push(item);
  }
  return [...result, ...others];
}

/** A value as Go's `%v` prints it. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (value === null) return '<nil>';
  if (!isObject(value)) return typeof value === 'string' ? value : JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, child]) => `${key}:${goText(child)}`).join(' ')}]`;
}

function retained(current: Fields, keys: unknown): Fields {
  if (keys === undefined) return { ...current };
  if (!Array.isArray(keys))
    throw brokenStrategicPatch(`${retainKeysDirective} must be a list of field names`);
  return Object.fromEntries(Object.entries(current).filter(([key]) => keys.includes(key)));
}

function listDirective(patch: Fields, name: string): unknown[] {
  const value = patch[name];
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw brokenStrategicPatch(`${name} must be a list`);
  return value as unknown[];
}

function withoutDirectives(value: Fields): Fields {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== patchDirective && key !== retainKeysDirective)
      .map(([key, child]) => [key, withoutNestedDirectives(child)]),
  );
}

function withoutNestedDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNestedDirectives);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([key]) =>
          key !== patchDirective &&
          key !== retainKeysDirective &&
          !key.startsWith(orderPrefix) &&
          !key.startsWith(deletePrefix),
      )
      .map(([key, child]) => [key, withoutNestedDirectives(child)]),
  );
}

function asObject(value: unknown): Fields {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
