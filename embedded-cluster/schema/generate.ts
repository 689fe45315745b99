/**
 * Writes `data/*.json` from a running kube-apiserver: `node embedded-cluster/schema/generate.ts <base URL of kubectl proxy>`. See README.md.
 *
 * A definition is written once, into the file of the group-version that declares it, so that PodSpec is not repeated for apps/v1 and batch/v1.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ColumnData, DataFile, ResourceData } from './data.ts';
import { builtinGroupVersions, dataFileName, homeOfDefinition } from './data.ts';
import type { JsonSchema } from './json-schema.ts';

/** ComponentStatus is made up by the server at each request and reports on processes that do not exist here. */
const omitted: readonly string[] = ['componentstatuses'];

const discoveryAccept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const tableAccept = 'application/json;as=Table;g=meta.k8s.io;v=v1';

interface DiscoveredSubresource {
  subresource: string;
  responseKind?: { group: string; version: string; kind: string };
  verbs: string[];
}

interface DiscoveredResource {
  resource: string;
  responseKind: { kind: string };
  scope: 'Namespaced' | 'Cluster';
  singularResource: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: DiscoveredSubresource[];
}

interface DiscoveryList {
  items: { metadata?: { name?: string }; versions: { version: string; resources: DiscoveredResource[] }[] }[];
}

interface Table {
  columnDefinitions: { name: string; type: string; format: string; priority: number }[];
}

interface OpenApiDocument {
  components: { schemas: Record<string, JsonSchema> };
}

const baseUrl = process.argv[2];
if (baseUrl === undefined) {
  process.stderr.write('usage: generate.ts <base URL of kubectl proxy, such as http://127.0.0.1:8001>\n');
  process.exit(1);
}

await generate(baseUrl);

async function generate(base: string): Promise<void> {
  const discovered = [
    ...(await fetchJson<DiscoveryList>(`${base}/api`, discoveryAccept)).items,
    ...(await fetchJson<DiscoveryList>(`${base}/apis`, discoveryAccept)).items,
  ];
  const files = new Map<string, DataFile>();
  for (const [group, version] of builtinGroupVersions) {
    const resources = discovered
      .find((item) => (item.metadata?.name ?? '') === group)
      ?.versions.find((candidate) => candidate.version === version)?.resources;
    if (resources === undefined) throw new Error(`the server does not serve ${group}/${version}`);
    const file = fileOf(files, dataFileName(group, version), group, version);
    file.resources = await Promise.all(
      resources
        .filter(({ resource }) => !omitted.includes(resource))
        .map((resource) => describe(base, group, version, resource)),
    );
  }
  for (const [group, version] of builtinGroupVersions) {
    const document = await fetchJson<OpenApiDocument>(`${base}/openapi/v3/${apiPath(group, version)}`);
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      const home = homeOfDefinition(name);
      fileOf(files, home, '', '').schemas[name] = simplify(schema) as JsonSchema;
    }
  }
  write(files);
}

function write(files: ReadonlyMap<string, DataFile>): void {
  const directory = fileURLToPath(new URL('data/', import.meta.url));
  mkdirSync(directory, { recursive: true });
  for (const stale of readdirSync(directory)) rmSync(`${directory}${stale}`);
  for (const [name, file] of files) {
    file.schemas = Object.fromEntries(Object.entries(file.schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(`${directory}${name}.json`, `${JSON.stringify(file)}\n`);
  }
}

function fileOf(files: Map<string, DataFile>, name: string, group: string, version: string): DataFile {
  let file = files.get(name);
  if (file === undefined) {
    file = { group, version, resources: [], schemas: {} };
    files.set(name, file);
  }
  return file;
}

async function describe(
  base: string,
  group: string,
  version: string,
  resource: DiscoveredResource,
): Promise<ResourceData> {
  return {
    kind: resource.responseKind.kind,
    plural: resource.resource,
    singular: resource.singularResource,
    shortNames: resource.shortNames ?? [],
    categories: resource.categories ?? [],
    namespaced: resource.scope === 'Namespaced',
    verbs: resource.verbs,
    subresources: (resource.subresources ?? []).map((subresource) => ({
      name: subresource.subresource,
      kind: subresource.responseKind?.kind ?? resource.responseKind.kind,
      ...(subresource.responseKind?.version
        ? { group: subresource.responseKind.group, version: subresource.responseKind.version }
        : {}),
      verbs: subresource.verbs,
    })),
    columns: resource.verbs.includes('list') ? await columns(base, group, version, resource) : [],
  };
}

async function columns(
  base: string,
  group: string,
  version: string,
  resource: DiscoveredResource,
): Promise<ColumnData[]> {
  const url = `${base}/${apiPath(group, version)}/${resource.resource}?limit=1`;
  const table = await fetchJson<Table>(url, tableAccept);
  return table.columnDefinitions.map(({ name, type, format, priority }) => [name, type, format, priority]);
}

/** Drops prose and turns `allOf: [{$ref}]` beside siblings into a plain `$ref` (openapi.ts turns it back). */
function simplify(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(simplify);
  if (typeof schema !== 'object' || schema === null) return schema;
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'description' && typeof value === 'string') continue;
    if (key === 'properties' && typeof value === 'object' && value !== null) {
      // A property may itself be called "description", so its names are not keywords.
      result[key] = Object.fromEntries(
        Object.entries(value).map(([name, property]) => [name, simplify(property)]),
      );
    } else if (key === 'allOf' && Array.isArray(value) && value.length === 1) {
      Object.assign(result, simplify(value[0]));
    } else if (key === '$ref' && typeof value === 'string') {
      result[key] = value.slice(value.lastIndexOf('/') + 1);
    } else if (key === 'x-kubernetes-group-version-kind' && Array.isArray(value) && value.length > 1) {
      // DeleteOptions and WatchEvent list every group of the server; nothing reads that.
      continue;
    } else {
      result[key] = key === 'default' ? value : simplify(value);
    }
  }
  return result;
}

async function fetchJson<T>(url: string, accept = 'application/json'): Promise<T> {
  const response = await fetch(url, { headers: { accept } });
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

function apiPath(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}
