import { readFileSync } from 'node:fs';
import type { Subresource } from '../types.ts';
import type { JsonSchema } from './json-schema.ts';

/** name, type, format, priority */
export type ColumnData = [string, string, string, number];

export interface ResourceData {
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  categories: string[];
  namespaced: boolean;
  verbs: string[];
  subresources: Subresource[];
  columns: ColumnData[];
}

/** What one generated file holds. */
export interface DataFile {
  group: string;
  version: string;
  resources: ResourceData[];
  schemas: Record<string, JsonSchema>;
}

/** Served by the embedded cluster. Kinds of subresources (Scale, TokenRequest, Eviction) live in some of these. */
export const builtinGroupVersions: readonly (readonly [group: string, version: string])[] = [
  ['', 'v1'],
  ['admissionregistration.k8s.io', 'v1'],
  ['apiextensions.k8s.io', 'v1'],
  ['apps', 'v1'],
  ['authentication.k8s.io', 'v1'],
  ['authorization.k8s.io', 'v1'],
  ['autoscaling', 'v1'],
  ['autoscaling', 'v2'],
  ['batch', 'v1'],
  ['coordination.k8s.io', 'v1'],
  ['discovery.k8s.io', 'v1'],
  ['events.k8s.io', 'v1'],
  ['networking.k8s.io', 'v1'],
  ['node.k8s.io', 'v1'],
  ['policy', 'v1'],
  ['rbac.authorization.k8s.io', 'v1'],
  ['scheduling.k8s.io', 'v1'],
];

/** Definitions of apimachinery, which no group-version owns. */
const sharedFile = 'meta.v1';

const loaded = new Map<string, DataFile>();

export function dataFileName(group: string, version: string): string {
  return `${group === '' ? 'core' : group}.${version}`;
}

/** The generated data of a group-version, read at first use and kept. */
export function loadGroupVersion(group: string, version: string): DataFile {
  return load(dataFileName(group, version));
}

/** The definition of that name (`io.k8s.api.core.v1.Pod`), from the file of the group-version that declares it. */
export function definition(name: string): JsonSchema {
  const found = load(homeOfDefinition(name)).schemas[name];
  if (found === undefined) throw new Error(`no definition ${name} in the generated schema data`);
  return found;
}

export function isDefinition(name: string): boolean {
  return name.startsWith('io.k8s.') && load(homeOfDefinition(name)).schemas[name] !== undefined;
}

/** Name of the definition of a kind. */
export function definitionOfKind(group: string, version: string, kind: string): string {
  for (const [name, schema] of Object.entries(loadGroupVersion(group, version).schemas)) {
    const isKind = schema['x-kubernetes-group-version-kind']?.some(
      (candidate) => candidate.group === group && candidate.version === version && candidate.kind === kind,
    );
    if (isKind === true) return name;
  }
  throw new Error(`no definition of ${kind} in the generated data of ${dataFileName(group, version)}`);
}

const groupsByPackage: Record<string, string> = {
  admissionregistration: 'admissionregistration.k8s.io',
  authentication: 'authentication.k8s.io',
  authorization: 'authorization.k8s.io',
  coordination: 'coordination.k8s.io',
  discovery: 'discovery.k8s.io',
  events: 'events.k8s.io',
  networking: 'networking.k8s.io',
  node: 'node.k8s.io',
  rbac: 'rbac.authorization.k8s.io',
  scheduling: 'scheduling.k8s.io',
};

/** Name of the file that holds a definition. */
export function homeOfDefinition(name: string): string {
  const builtin = /^io\.k8s\.api\.([a-z]+)\.(v[0-9a-z]+)\./.exec(name);
  if (builtin !== null) {
    const [, packageName = '', version = ''] = builtin;
    return dataFileName(groupsByPackage[packageName] ?? packageName, version);
  }
  if (name.startsWith('io.k8s.apiextensions-apiserver.')) return dataFileName('apiextensions.k8s.io', 'v1');
  return sharedFile;
}

function load(name: string): DataFile {
  let file = loaded.get(name);
  if (file === undefined) {
    file = JSON.parse(readFileSync(new URL(`data/${name}.json`, import.meta.url), 'utf8')) as DataFile;
    loaded.set(name, file);
  }
  return file;
}
