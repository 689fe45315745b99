import { isDeepStrictEqual } from 'node:util';
import { elementText, FieldSet } from './field-set.ts';
import type { TypeNode } from './type-node.ts';
import { untyped } from './type-node.ts';

/** Values seen with their types, as server-side apply compares and merges them (structured-merge-diff's typed.TypedValue). */

export interface Comparison {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

/** A value's children by path element, or undefined where it changes as one (scalars, atomic maps and lists, null). */
type Children = Map<string, { value: unknown; type: TypeNode; declared: boolean }>;

/** Two items of a list that has keys for them have the same ones, or a key is missing. */
export class ListKeyError extends Error {
  constructor(path: string, detail: string) {
    super(path === '' ? detail : `${path}: ${detail}`);
    this.name = 'ListKeyError';
  }
}

/** All paths that a manager owns who applies `value`. */
export function fieldSetOf(value: unknown, type: TypeNode, path = ''): FieldSet {
  const children = childrenOf(value, type, path);
  if (children === undefined) return new FieldSet();
  const members: string[] = [];
  const nested: [string, FieldSet][] = [];
  for (const [element, child] of children) {
    const childPath = path + elementText(element);
    const grandchildren = childrenOf(child.value, child.type, childPath);
    const isLeaf = grandchildren === undefined || grandchildren.size === 0;
    // Nobody owns that a list is empty; an empty map belongs to who applies it.
    const isEmptyList = grandchildren !== undefined && Array.isArray(child.value);
    if (!child.declared || (isLeaf && !isEmptyList)) members.push(element);
    if (!isLeaf) nested.push([element, fieldSetOf(child.value, child.type, childPath)]);
  }
  return new FieldSet(members, nested);
}

/** What changed from `before` to `after`; a container that appears or goes is listed with all that is in it. */
export function compare(before: unknown, after: unknown, type: TypeNode): Comparison {
  const old = childrenOf(before, type, '') ?? new Map<string, never>();
  const now = childrenOf(after, type, '') ?? new Map<string, never>();
  const builder = new ComparisonBuilder();
  for (const element of new Set([...old.keys(), ...now.keys()])) {
    compareChild(element, old.get(element), now.get(element), builder);
  }
  return builder.build();
}

type Child = { value: unknown; type: TypeNode } | undefined;

function compareChild(element: string, before: Child, after: Child, builder: ComparisonBuilder): void {
  const type = after?.type ?? before?.type ?? untyped;
  const old = before === undefined ? undefined : childrenOf(before.value, type, element);
  const now = after === undefined ? undefined : childrenOf(after.value, type, element);
  const oldSize = old?.size ?? 0;
  const nowSize = now?.size ?? 0;
  if (before === undefined) builder.added.push(element);
  else if (after === undefined) builder.removed.push(element);
  // A change between a scalar and a container, or between null and empty, has no children to speak for it.
  else if ((oldSize === 0 && nowSize === 0) || !mergeable(before.value, after.value, type)) {
    if (!isDeepStrictEqual(before.value, after.value)) builder.modified.push(element);
    return;
  }
  if (oldSize > 0 || nowSize > 0) {
    builder.nest(element, compare(before?.value, after?.value, type));
  }
}

function mergeable(before: unknown, after: unknown, type: TypeNode): boolean {
  const containers = [before, after].filter((value) => value !== null);
  return containers.every((value) => childrenOf(value, type, '') !== undefined);
}

class ComparisonBuilder {
  readonly added: string[] = [];
  readonly modified: string[] = [];
  readonly removed: string[] = [];
  readonly #nested: [string, Comparison][] = [];

  nest(element: string, comparison: Comparison): void {
    this.#nested.push([element, comparison]);
  }

  build(): Comparison {
    const pick = (members: string[], part: keyof Comparison): FieldSet =>
      new FieldSet(
        members,
        this.#nested.map(([element, comparison]) => [element, comparison[part]]),
      );
    return {
      added: pick(this.added, 'added'),
      modified: pick(this.modified, 'modified'),
      removed: pick(this.removed, 'removed'),
    };
  }
}

/** `live` with everything of `applied` laid over it. Shares what it does not change. */
export function merge(live: unknown, applied: unknown, type: TypeNode): unknown {
  if (applied === undefined) return live;
  if (live === undefined || live === null) return applied;
  // Null lays nothing over what is merged by its parts.
  if (applied === null) return (childrenOf(live, type, '')?.size ?? 0) > 0 ? live : null;
  if (Array.isArray(live) && Array.isArray(applied) && type.kind === 'list') {
    return type.listMerge.type === 'atomic' ? applied : mergeLists(live, applied, type);
  }
  if (!isObject(live) || !isObject(applied) || !isGranular(type)) return applied;
  const result: Record<string, unknown> = { ...live };
  for (const [key, value] of Object.entries(applied)) {
    result[key] = merge(live[key], value, type.child(key) ?? untyped);
  }
  return result;
}

/** Both orders are kept; where they leave a choice, items that only `live` has come first (structured-merge-diff). */
function mergeLists(live: unknown[], applied: unknown[], type: TypeNode): unknown[] {
  const liveItems = itemsByElement(live, type, '');
  const appliedItems = itemsByElement(applied, type, '');
  const result: unknown[] = [];
  const pending = [...liveItems.keys()];
  const takeOwn = (until: (element: string) => boolean): void => {
    for (let next = pending[0]; next !== undefined && !until(next); next = pending[0]) {
      pending.shift();
      if (!appliedItems.has(next)) result.push(liveItems.get(next));
    }
  };
  for (const [element, value] of appliedItems) {
    if (liveItems.has(element)) {
      takeOwn((next) => next === element);
      if (pending[0] === element) pending.shift();
      result.push(merge(liveItems.get(element), value, type.items));
    } else {
      takeOwn((next) => appliedItems.has(next));
      result.push(value);
    }
  }
  takeOwn(() => false);
  return result;
}

/**
 * `value` without the members of `set`. A container that loses everything is null in what it stands in: validation
 * judges that. Undefined: that is `value` itself.
 */
export function removeItems(value: unknown, set: FieldSet, type: TypeNode): unknown {
  if (set.isEmpty) return value;
  if (Array.isArray(value)) {
    if (type.kind !== 'list' || type.listMerge.type === 'atomic') return value;
    const left: unknown[] = [];
    for (const [element, item] of itemsByElement(value, type, '')) {
      if (set.hasMember(element)) continue;
      left.push(removeItems(item, set.under(element), type.items) ?? null);
    }
    return left.length === 0 && value.length > 0 ? undefined : left;
  }
  if (!isObject(value) || !isGranular(type)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    const element = `f:${key}`;
    if (set.hasMember(element)) continue;
    result[key] = removeItems(child, set.under(element), type.child(key) ?? untyped) ?? null;
  }
  return Object.keys(result).length === 0 && Object.keys(value).length > 0 ? undefined : result;
}

function childrenOf(value: unknown, type: TypeNode, path: string): Children | undefined {
  if (Array.isArray(value)) {
    if (type.kind !== 'list' || type.listMerge.type === 'atomic') return undefined;
    const children: Children = new Map();
    for (const [element, item] of itemsByElement(value, type, path)) {
      children.set(element, { value: item, type: type.items, declared: false });
    }
    return children;
  }
  if (!isObject(value) || !isGranular(type)) return undefined;
  const children: Children = new Map();
  for (const [key, child] of Object.entries(value)) {
    const field = type.kind === 'struct' ? type.field(key) : undefined;
    children.set(`f:${key}`, {
      value: child,
      type: field ?? type.child(key) ?? untyped,
      declared: field !== undefined,
    });
  }
  return children;
}

function isGranular(type: TypeNode): boolean {
  if (type.atomicMap) return false;
  // A RawExtension or JSON of a built-in type changes as one; free-form fields of a CRD merge field by field.
  if (type.kind === 'any') return type.definitionName === undefined;
  return type.kind === 'struct' || type.kind === 'map';
}

/** The items by path element. Later duplicates are kept apart by nothing, so they are an error. */
function itemsByElement(items: unknown[], type: TypeNode, path: string): Map<string, unknown> {
  const result = new Map<string, unknown>();
  for (const [index, item] of items.entries()) {
    const element = elementOf(item, type, path, index);
    if (result.has(element)) {
      throw new ListKeyError(path, `duplicate entries for key ${elementText(element)}`);
    }
    result.set(element, item);
  }
  return result;
}

/** The path element of a list's item, the `index`th of its list. Throws ListKeyError where it has none. */
export function elementOf(item: unknown, type: TypeNode, path: string, index: number): string {
  const problem = type.listMerge.type === 'map' ? keyedProblem(item) : memberProblem(item);
  if (problem !== undefined) throw new ListKeyError(path, `element ${index}: ${problem}`);
  const { listMerge } = type;
  if (listMerge.type !== 'map' || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const keys: Record<string, unknown> = {};
  for (const key of [...listMerge.keys].sort()) {
    const value = item[key] ?? type.items.field(key)?.schema.default;
    if (value !== undefined) keys[key] = value;
  }
  if (Object.keys(keys).length === 0) {
    const names = listMerge.keys.map((key) => JSON.stringify(key)).join(' ');
    throw new ListKeyError(
      path,
      `element ${index}: associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
    );
  }
  return `k:${JSON.stringify(keys)}`;
}

/** What keeps an item from standing in a list whose items are told apart by keys. */
function keyedProblem(item: unknown): string | undefined {
  if (item === null) return 'associative list with keys may not have a null element';
  return isObject(item) ? undefined : 'associative list with keys may not have non-map elements';
}

/** What keeps an item from standing in a set. */
function memberProblem(item: unknown): string | undefined {
  if (item === null) return "associative list without keys has an element that's an explicit null";
  if (Array.isArray(item)) return 'not supported: associative list with lists as elements';
  return isObject(item) ? "associative list without keys has an element that's a map type" : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
