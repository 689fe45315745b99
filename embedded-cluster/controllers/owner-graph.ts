/**
 * Who names whom as an owner, of everything that the garbage collector follows. An object stands here under the key of its
 * place, owners under their uids: a reference may name an owner that has gone, or that is not seen yet.
 */
export class OwnerGraph {
  /** Key by uid. */
  readonly #keys = new Map<string, string>();
  /** uids of the owners, by key. */
  readonly #owners = new Map<string, readonly string[]>();
  /** Keys of the dependents, by the owner's uid. */
  readonly #dependents = new Map<string, Set<string>>();

  /** An object is there, or has changed. @param owners uids of those that it names */
  put(key: string, uid: string, owners: readonly string[]): void {
    this.#keys.set(uid, key);
    this.#name(key, owners);
  }

  /** An object is gone. What names it as an owner goes on doing so. */
  remove(key: string, uid: string): void {
    this.#keys.delete(uid);
    this.#name(key, []);
  }

  /** Keys of the owners that an object names, of those that are there. */
  ownersOf(key: string): readonly string[] {
    return (this.#owners.get(key) ?? []).flatMap((uid) => this.#keys.get(uid) ?? []);
  }

  /** Keys of what names this uid as an owner. */
  dependentsOf(uid: string): readonly string[] {
    return [...(this.#dependents.get(uid) ?? [])];
  }

  #name(key: string, owners: readonly string[]): void {
    for (const uid of this.#owners.get(key) ?? []) this.#forget(uid, key);
    if (owners.length === 0) this.#owners.delete(key);
    else this.#owners.set(key, owners);
    for (const uid of owners) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      this.#dependents.set(uid, dependents.add(key));
    }
  }

  #forget(owner: string, dependent: string): void {
    const dependents = this.#dependents.get(owner);
    dependents?.delete(dependent);
    if (dependents?.size === 0) this.#dependents.delete(owner);
  }
}
