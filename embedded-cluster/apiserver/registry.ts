import type { ServedType } from '../schema/types.ts';
import type { ResourceType, StoredObject } from '../types.ts';
import { qualified } from './errors.ts';
import { isObject } from './json.ts';

/** `pods`, `deployments.apps`: how storage and the loopback client name a resource, whatever its version. */
export function resourceName(resource: ResourceType): string {
  return qualified({ group: resource.group, resource: resource.plural });
}

/** `apps/v1`, `v1`. */
export function apiVersionOf(resource: { group: string; version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** Resources that are two views of one store: events.k8s.io/v1 shows what core/v1 keeps. */
const STORED_AS: Readonly<Record<string, string>> = { 'events.events.k8s.io': 'events' };

/** The name under which the objects of a served type are kept. */
export function storageName(resource: ResourceType): string {
  const name = resourceName(resource);
  return STORED_AS[name] ?? name;
}

/** The group in which an object is kept, and by which failures name it. */
export function storageGroup(resource: ResourceType): string {
  return resourceName(resource) in STORED_AS ? '' : resource.group;
}

/** core/v1 Event field -> events.k8s.io/v1 field; the rest is the same in both. */
const EVENT_FIELDS: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

/** Fields that events.k8s.io/v1 leaves out and core/v1 shows. */
const OMITTED_WHEN_EMPTY = ['reportingController', 'reportingInstance', 'deprecatedCount'];

function renameEventFields(object: StoredObject, to: 0 | 1, apiVersion: string): StoredObject {
  const renamed: StoredObject = { ...object, apiVersion };
  for (const pair of EVENT_FIELDS) {
    const [from, target] = to === 1 ? pair : [pair[1], pair[0]];
    if (!(from in renamed)) continue;
    renamed[target] = renamed[from];
    delete renamed[from];
  }
  if (to === 1) for (const field of OMITTED_WHEN_EMPTY) if (!renamed[field]) delete renamed[field];
  return renamed;
}

/** A stored object as clients of `type` see it. CRD versions differ in apiVersion only (conversion None). */
export function toVersion(object: StoredObject, type: ServedType): StoredObject {
  const apiVersion = apiVersionOf(type.resource);
  if (object.apiVersion === apiVersion) return object;
  if (apiVersion === 'events.k8s.io/v1') return renameEventFields(object, 1, apiVersion);
  return { ...object, apiVersion };
}

/** An object as it is kept: the other way round. */
export function toStorage(object: StoredObject, type: ServedType): StoredObject {
  const stored = type.schema.storedForm(object);
  if (resourceName(type.resource) !== 'events.events.k8s.io') return stored;
  return renameEventFields(stored, 0, 'v1');
}

/** `v1` before `v2beta1` before `v1beta1` before `v1alpha1` before anything else (Kubernetes' version priority: GA first, then higher numbers). */
function compareVersions(a: string, b: string): number {
  const rank = (version: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
    if (match === null) return [0, 0, 0];
    const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
    return [stability, Number(match[1]), Number(match[3] ?? 0)];
  };
  const [left, right] = [rank(a), rank(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (right[i] ?? 0) - (left[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a === b ? 0 : 1;
}

/** What is served at this moment: generated types, and those of CRDs as they come and go. */
export class Registry {
  readonly #types = new Map<string, ServedType>();
  /** Grows with each change; discovery is made anew when it has. */
  #generation = 0;

  constructor(types: readonly ServedType[]) {
    for (const type of types) this.add(type);
  }

  get generation(): number {
    return this.#generation;
  }

  /** Serves a type from now on, in place of what had its names. */
  add(type: ServedType): void {
    const { group, version, plural } = type.resource;
    this.#types.set(`${group}/${version}/${plural}`, type);
    this.#generation++;
  }

  /** Stops serving a resource in all of its versions. */
  remove(group: string, plural: string): void {
    for (const [key, { resource }] of this.#types) {
      if (resource.group === group && resource.plural === plural) this.#types.delete(key);
    }
    this.#generation++;
  }

  /** The type at exactly this path. */
  find(group: string, version: string, plural: string): ServedType | undefined {
    return this.#types.get(`${group}/${version}/${plural}`);
  }

  /** The type in its preferred version, by `pods` or `deployments.apps`. */
  byName(name: string): ServedType | undefined {
    return this.versionsOf(name)[0];
  }

  /** Every served version of a resource, preferred first. */
  versionsOf(name: string): ServedType[] {
    return this.all()
      .filter(({ resource }) => resourceName(resource) === name)
      .sort((a, b) => compareVersions(a.resource.version, b.resource.version));
  }

  /** The type of what names itself so. */
  byKind(apiVersion: string, kind: string): ServedType | undefined {
    return this.all().find(({ resource }) => apiVersionOf(resource) === apiVersion && resource.kind === kind);
  }

  /** Every type in every version. */
  all(): ServedType[] {
    return [...this.#types.values()];
  }

  /** Groups with their versions, preferred version first; core is ''. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>();
    for (const { resource } of this.#types.values()) {
      const versions = groups.get(resource.group) ?? [];
      if (!versions.includes(resource.version)) versions.push(resource.version);
      groups.set(resource.group, versions);
    }
    for (const versions of groups.values()) versions.sort(compareVersions);
    return groups;
  }
}

/** True for an object that looks like one of the API: a kind, an apiVersion, metadata. */
export function isStoredObject(value: unknown): value is StoredObject {
  return (
    isObject(value) &&
    typeof value['apiVersion'] === 'string' &&
    typeof value['kind'] === 'string' &&
    isObject(value['metadata'])
  );
}
