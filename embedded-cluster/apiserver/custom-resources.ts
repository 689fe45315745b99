import type { Condition, CustomResourceDefinition } from '../../api/kubernetes-types.ts';
import { compileCrd } from '../schema/index.ts';
import { ApiError, type StoredObject } from '../types.ts';
import { equal, isObject, type JsonObject, valueAt } from './json.ts';
import { type Call, type Core, SYSTEM_USER, timestamp } from './operations/core.ts';
import { removeCollection } from './operations/delete.ts';
import { CRD_FINALIZER } from './operations/strategy.ts';

const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';

interface Log {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Serves what CustomResourceDefinitions define as they come, change and go, and tells in their status how far that is. */
export class CustomResources {
  readonly #core: Core;
  readonly #log: Log;
  readonly #unsubscribe: () => void;
  /** Ends the wait for the last object of a resource that is going. */
  readonly #waits = new Map<string, () => void>();
  readonly #pending = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(core: Core, log: Log) {
    this.#core = core;
    this.#log = log;
    for (const crd of core.store.list(CRDS)) {
      this.#register(crd);
      this.#enqueue(nameOf(crd));
    }
    this.#unsubscribe = core.store.subscribe(CRDS, ({ type, object }) => {
      if (type === 'DELETED') this.#unregister(object);
      else {
        this.#register(object);
        this.#enqueue(nameOf(object));
      }
    });
  }

  /** Resolves when nothing is left to do for the definitions that are there. */
  async settled(): Promise<void> {
    await this.#running;
  }

  close(): void {
    this.#unsubscribe();
    for (const end of this.#waits.values()) end();
    this.#waits.clear();
    this.#pending.clear();
  }

  #register(crd: StoredObject): void {
    if (nameConflict(crd, this.#core.store.list(CRDS)) !== undefined) return;
    const { types, errors } = compileCrd(crd as StoredObject & CustomResourceDefinition);
    for (const { field, message } of errors) {
      this.#log.warn(
        { crd: nameOf(crd), field, problem: message },
        'a part of a CustomResourceDefinition can not be served',
      );
    }
    const { group, plural } = resourceOf(crd);
    this.#core.registry.remove(group, plural);
    for (const type of types) this.#core.registry.add(type);
  }

  #unregister(crd: StoredObject): void {
    const { group, plural } = resourceOf(crd);
    this.#core.registry.remove(group, plural);
    this.#endWait(nameOf(crd));
  }

  #enqueue(name: string): void {
    this.#pending.add(name);
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined;
    });
  }

  async #drain(): Promise<void> {
    // After the write that led here has been answered.
    await Promise.resolve();
    for (let [name] = this.#pending; name !== undefined; [name] = this.#pending) {
      this.#pending.delete(name);
      try {
        await this.#reconcile(name);
      } catch (error) {
        if (error instanceof ApiError && error.reason === 'NotFound') continue;
        this.#log.error(
          { err: error, crd: name },
          'the status of a CustomResourceDefinition could not be brought up to date',
        );
      }
    }
  }

  async #reconcile(name: string): Promise<void> {
    const crd = this.#core.store.get(CRDS, undefined, name);
    if (crd === undefined) return;
    if (crd.metadata.deletionTimestamp === undefined) this.#updateStatus(crd, this.#established(crd));
    else await this.#terminate(name, crd);
  }

  #established(crd: StoredObject): JsonObject {
    const conflict = nameConflict(crd, this.#core.store.list(CRDS));
    const now = timestamp(this.#core.now());
    const accepted =
      conflict === undefined
        ? condition('NamesAccepted', 'True', 'NoConflicts', 'no conflicts found', now)
        : condition('NamesAccepted', 'False', conflict.reason, conflict.message, now);
    const established =
      conflict === undefined
        ? condition(
            'Established',
            'True',
            'InitialNamesAccepted',
            'the initial names have been accepted',
            now,
          )
        : condition('Established', 'False', 'NotAccepted', 'not all names are accepted', now);
    const storage = versionsOf(crd).find((version) => valueAt(version, 'storage') === true);
    const stored = valueAt(crd, 'status.storedVersions');
    const storedVersions = new Set(Array.isArray(stored) ? stored.map(String) : []);
    if (storage !== undefined) storedVersions.add(String(valueAt(storage, 'name')));
    return {
      conditions: mergeConditions(crd, [accepted, established]),
      acceptedNames: conflict === undefined ? valueAt(crd, 'spec.names') : { plural: '', kind: '' },
      storedVersions: [...storedVersions],
    };
  }

  /** Writes to the store at once: what the server itself says of a definition is not for admission or validation. */
  #updateStatus(crd: StoredObject, status: JsonObject): void {
    if (!equal(status, crd['status'])) this.#core.store.put(CRDS, { ...crd, status });
  }

  /** Deletes the objects; the definition goes when the last of them has gone. */
  async #terminate(name: string, crd: StoredObject): Promise<void> {
    if (!(crd.metadata.finalizers ?? []).includes(CRD_FINALIZER)) return;
    this.#updateStatus(crd, {
      ...(isObject(crd['status']) ? crd['status'] : {}),
      conditions: mergeConditions(crd, [
        condition(
          'Terminating',
          'True',
          'InstanceDeletionInProgress',
          'CustomResource deletion is in progress',
          timestamp(this.#core.now()),
        ),
      ]),
    });
    await this.#removeObjects(name);
    if (this.#core.store.count(name) > 0) this.#waitForObjects(name, name);
    else this.#release(name);
  }

  async #removeObjects(resource: string): Promise<void> {
    const type = this.#core.registry.byName(resource);
    if (type === undefined) return;
    const call: Call = {
      user: SYSTEM_USER,
      type,
      namespace: undefined,
      name: '',
      subresource: '',
      dryRun: false,
      fieldManager: '',
      fieldValidation: 'Ignore',
      warn: () => undefined,
    };
    const standing = this.#core.store
      .list(resource)
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    await removeCollection(this.#core, call, standing, {});
  }

  #release(name: string): void {
    this.#endWait(name);
    const crd = this.#core.store.get(CRDS, undefined, name);
    if (crd === undefined) return;
    const finalizers = (crd.metadata.finalizers ?? []).filter((finalizer) => finalizer !== CRD_FINALIZER);
    const released = { ...crd, metadata: { ...crd.metadata, finalizers } };
    if (finalizers.length === 0) this.#core.store.remove(CRDS, released);
    else this.#core.store.put(CRDS, released);
  }

  #waitForObjects(name: string, resource: string): void {
    if (this.#waits.has(name)) return;
    this.#waits.set(
      name,
      this.#core.store.subscribe(resource, ({ type }) => {
        if (type === 'DELETED') this.#enqueue(name);
      }),
    );
  }

  #endWait(name: string): void {
    this.#waits.get(name)?.();
    this.#waits.delete(name);
  }
}

function nameOf(crd: StoredObject): string {
  return crd.metadata.name ?? '';
}

function resourceOf(crd: StoredObject): { group: string; plural: string } {
  return { group: String(valueAt(crd, 'spec.group')), plural: String(valueAt(crd, 'spec.names.plural')) };
}

function versionsOf(crd: StoredObject): unknown[] {
  const versions = valueAt(crd, 'spec.versions');
  return Array.isArray(versions) ? versions : [];
}

/** A name that an older definition of the same group has taken. */
function nameConflict(
  crd: StoredObject,
  all: readonly StoredObject[],
): { reason: string; message: string } | undefined {
  const age = ({ metadata }: StoredObject): string =>
    `${metadata.creationTimestamp ?? ''}/${metadata.name ?? ''}`;
  const older = all.filter(
    (other) =>
      other.metadata.uid !== crd.metadata.uid &&
      resourceOf(other).group === resourceOf(crd).group &&
      age(other) < age(crd),
  );
  const taken = new Set(
    older.flatMap((other) => [
      valueAt(other, 'spec.names.plural'),
      valueAt(other, 'spec.names.singular'),
      ...shortNames(other),
    ]),
  );
  const kinds = new Set(
    older.flatMap((other) => [valueAt(other, 'spec.names.kind'), valueAt(other, 'spec.names.listKind')]),
  );
  for (const [reason, name, used] of [
    ['PluralConflict', valueAt(crd, 'spec.names.plural'), taken],
    ['SingularConflict', valueAt(crd, 'spec.names.singular'), taken],
    ...shortNames(crd).map((name) => ['ShortNamesConflict', name, taken] as const),
    ['KindConflict', valueAt(crd, 'spec.names.kind'), kinds],
    ['ListKindConflict', valueAt(crd, 'spec.names.listKind'), kinds],
  ] as const) {
    if (name !== undefined && name !== '' && used.has(name))
      return { reason, message: `${JSON.stringify(name)} is already in use` };
  }
  return undefined;
}

function shortNames(crd: StoredObject): unknown[] {
  const names = valueAt(crd, 'spec.names.shortNames');
  return Array.isArray(names) ? names : [];
}

function condition(
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now: string,
): Condition {
  return { type, status, lastTransitionTime: now, reason, message };
}

/** Conditions by type; one that says what it said before keeps its time. */
function mergeConditions(crd: StoredObject, changed: readonly Condition[]): Condition[] {
  const current = valueAt(crd, 'status.conditions');
  const before = new Map(
    (Array.isArray(current) ? (current as Condition[]) : []).map((entry) => [entry.type, entry]),
  );
  for (const entry of changed) {
    const old = before.get(entry.type);
    const since = old?.status === entry.status ? old.lastTransitionTime : undefined;
    before.set(entry.type, since === undefined ? entry : { ...entry, lastTransitionTime: since });
  }
  return [...before.values()];
}
