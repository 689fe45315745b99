import { isDeepStrictEqual } from 'node:util';
import { invalidPatch } from './errors.ts';
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
  if (!isObject(patch)) throw invalidPatch(400, 'a strategic merge patch must be an object');
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
      throw invalidPatch(400, `unknown patch type ${JSON.stringify(patch[patchDirective])} found`);
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
  if (mergeKey === undefined) return ordered(mergePrimitives(existing, value, deletions), order, undefined);
  return ordered(mergeByKey(existing, value, mergeKey, type.items), order, mergeKey);
}

function mergePrimitives(current: unknown[], value: unknown[], deletions: unknown[]): unknown[] {
  const kept = current.filter((item) => !deletions.includes(item));
  return [...kept, ...value.filter((item) => !kept.includes(item))];
}

function mergeByKey(current: unknown[], patch: unknown[], mergeKey: string, type: TypeNode): unknown[] {
  const replaces = patch.some((item) => isObject(item) && item[patchDirective] === 'replace');
  let result = replaces ? [] : [...current];
  for (const item of patch) {
    if (!isObject(item)) throw invalidPatch(400, `expected a list of objects merged by ${mergeKey}`);
    if (Object.keys(item).length === 1 && item[patchDirective] === 'replace') continue;
    const identity = item[mergeKey];
    if (identity === undefined) {
      throw invalidPatch(
        400,
        `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
      );
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

/** The items named by the order come in it; an item that only the server has keeps its place before the named one that followed it. */
function ordered(items: unknown[], order: unknown[], mergeKey: string | undefined): unknown[] {
  if (order.length === 0) return items;
  const identity = (item: unknown): string =>
    JSON.stringify(mergeKey === undefined ? item : asObject(item)[mergeKey]);
  const rank = new Map(order.map((item, index) => [identity(item), index]));
  const named = items
    .filter((item) => rank.has(identity(item)))
    .sort((a, b) => (rank.get(identity(a)) ?? 0) - (rank.get(identity(b)) ?? 0));
  const result: unknown[] = [];
  for (const item of items) {
    if (!rank.has(identity(item))) result.push(item);
    else result.push(...named.splice(0, 1));
  }
  return result;
}

function retained(current: Fields, keys: unknown): Fields {
  if (keys === undefined) return { ...current };
  if (!Array.isArray(keys)) throw invalidPatch(400, `${retainKeysDirective} must be a list of field names`);
  return Object.fromEntries(Object.entries(current).filter(([key]) => keys.includes(key)));
}

function listDirective(patch: Fields, name: string): unknown[] {
  const value = patch[name];
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidPatch(400, `${name} must be a list`);
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
