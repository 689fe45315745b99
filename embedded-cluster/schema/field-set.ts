import type { TypeNode } from './type-node.ts';

/**
 * A set of field paths, as managedFields (FieldsV1) holds it: `f:name` a field, `k:{…}` a list item by its keys, `v:…` a list item by its value.
 * Operations leave their operands as they were. Source: KEP-555, structured-merge-diff's fieldpath.Set.
 */
export class FieldSet {
  readonly #members: Set<string>;
  readonly #children: Map<string, FieldSet>;

  constructor(members: Iterable<string> = [], children: Iterable<[string, FieldSet]> = []) {
    this.#members = new Set(members);
    this.#children = new Map();
    for (const [element, child] of children) if (!child.isEmpty) this.#children.set(element, child);
  }

  /** Entries that are no path elements are ignored, as unknown future ones would be. */
  static fromFieldsV1(fields: Record<string, unknown> | undefined): FieldSet {
    const members: string[] = [];
    const children: [string, FieldSet][] = [];
    for (const [element, value] of Object.entries(fields ?? {})) {
      if (element === '.' || typeof value !== 'object' || value === null) continue;
      const nested = value as Record<string, unknown>;
      if (Object.keys(nested).length === 0 || Object.hasOwn(nested, '.')) members.push(element);
      children.push([element, FieldSet.fromFieldsV1(nested)]);
    }
    return new FieldSet(members, children);
  }

  toFieldsV1(): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const element of [...new Set([...this.#members, ...this.#children.keys()])].sort()) {
      const nested = this.#children.get(element)?.toFieldsV1();
      if (nested === undefined) result[element] = {};
      else result[element] = this.#members.has(element) ? { '.': {}, ...nested } : nested;
    }
    return result;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0 && this.#children.size === 0;
  }

  hasMember(element: string): boolean {
    return this.#members.has(element);
  }

  under(element: string): FieldSet {
    return this.#children.get(element) ?? empty;
  }

  union(other: FieldSet): FieldSet {
    const elements = new Set([...this.#children.keys(), ...other.#children.keys()]);
    return new FieldSet(
      this.#members.union(other.#members),
      elements.values().map((element) => [element, this.under(element).union(other.under(element))]),
    );
  }

  intersection(other: FieldSet): FieldSet {
    return new FieldSet(
      this.#members.intersection(other.#members),
      this.#children.entries().map(([element, child]) => [element, child.intersection(other.under(element))]),
    );
  }

  /** Without exactly the other's members: what lies below a removed path stays. */
  difference(other: FieldSet): FieldSet {
    return new FieldSet(
      this.#members.difference(other.#members),
      this.#children.entries().map(([element, child]) => [element, child.difference(other.under(element))]),
    );
  }

  /** Without the other's members and everything below them. */
  recursiveDifference(other: FieldSet): FieldSet {
    return new FieldSet(
      this.#members.difference(other.#members),
      this.#children
        .entries()
        .filter(([element]) => !other.#members.has(element))
        .map(([element, child]) => [element, child.recursiveDifference(other.under(element))]),
    );
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty && other.difference(this).isEmpty;
  }

  /** Also counts the declared fields on the way to a member as members, so that what is left empty can be removed. */
  withNamedFieldsAsMembers(type: TypeNode | undefined): FieldSet {
    const members = new Set(this.#members);
    for (const element of this.#children.keys()) {
      if (element.startsWith('f:') && type?.kind === 'struct' && type.field(element.slice(2))) {
        members.add(element);
      }
    }
    return new FieldSet(
      members,
      this.#children
        .entries()
        .map(([element, child]) => [element, child.withNamedFieldsAsMembers(childType(type, element))]),
    );
  }

  /** The paths as people read them: `.spec.ports[port=80,protocol="TCP"].name`; at each level what ends there first. */
  paths(prefix = ''): string[] {
    const result = [...this.#members].sort().map((element) => prefix + elementText(element));
    for (const element of [...this.#children.keys()].sort()) {
      result.push(...this.under(element).paths(prefix + elementText(element)));
    }
    return result;
  }
}

const empty = new FieldSet();

function childType(type: TypeNode | undefined, element: string): TypeNode | undefined {
  if (type === undefined) return undefined;
  if (element.startsWith('f:')) return type.child(element.slice(2));
  return type.kind === 'list' ? type.items : undefined;
}

/** `.name`, `[key="value"]` or `[="value"]`. */
export function elementText(element: string): string {
  const text = element.slice(2);
  if (element.startsWith('f:')) return `.${text}`;
  if (element.startsWith('v:')) return `[=${text}]`;
  const keys = JSON.parse(text) as Record<string, unknown>;
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`;
}
