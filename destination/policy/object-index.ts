import type { KubernetesObject } from '../../api/kubernetes-types.ts';

/** Objects of one kind by key (`namespace/name`) and by the terms that they are looked up by. */
export class ObjectIndex<T extends KubernetesObject> {
  readonly #objects = new Map<string, { readonly object: T; readonly terms: readonly string[] }>();
  readonly #byTerm = new Map<string, Set<string>>();
  readonly #terms: (object: T) => readonly string[];

  constructor(terms: (object: T) => readonly string[]) {
    this.#terms = terms;
  }

  /** Adds, replaces or (undefined) removes. @returns the terms that may find something else now */
  set(key: string, object: T | undefined): ReadonlySet<string> {
    const before = this.#objects.get(key)?.terms ?? [];
    const after = object === undefined ? [] : this.#terms(object);
    for (const term of before) this.#leave(term, key);
    for (const term of after) this.#enter(term, key);
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, { object, terms: after });
    return new Set([...before, ...after]);
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)?.object;
  }

  /** In the order of their keys. */
  byTerm(term: string): T[] {
    return this.#inOrder(this.#byTerm.get(term) ?? []);
  }

  /** In the order of their keys. */
  all(): T[] {
    return this.#inOrder(this.#objects.keys());
  }

  #inOrder(keys: Iterable<string>): T[] {
    return [...keys]
      .sort()
      .map((key) => this.get(key))
      .filter((object) => object !== undefined);
  }

  #enter(term: string, key: string): void {
    const keys = this.#byTerm.get(term);
    if (keys === undefined) this.#byTerm.set(term, new Set([key]));
    else keys.add(key);
  }

  #leave(term: string, key: string): void {
    const keys = this.#byTerm.get(term);
    keys?.delete(key);
    if (keys?.size === 0) this.#byTerm.delete(term);
  }
}
