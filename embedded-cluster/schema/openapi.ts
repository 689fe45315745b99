import { createHash } from 'node:crypto';
import { definition, isDefinition } from './data.ts';
import type { JsonSchema } from './json-schema.ts';
import type { ServedType } from './types.ts';

/** OpenAPI v3 as kubectl needs it: `explain`, client-side strategic merge, and which endpoints take `fieldValidation`. */

type Json = Record<string, unknown>;

const listMetaDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';

/** Body of `/openapi/v3`. The hash in a URL changes with the content, so clients may keep what they fetched. */
export function openApiV3Index(types: readonly ServedType[]): {
  paths: Record<string, { serverRelativeURL: string }>;
} {
  const paths: Record<string, { serverRelativeURL: string }> = {};
  const groups = Map.groupBy(types, ({ resource }) => apiPath(resource.group, resource.version));
  for (const [path, members] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const content = members.map(({ resource, schema }) => [resource.plural, schema.openApi]);
    const hash = createHash('sha256')
      .update(JSON.stringify(content))
      .digest('hex')
      .slice(0, 32)
      .toUpperCase();
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { paths };
}

/** Body of `/openapi/v3/<path of the group-version>`, or undefined where none of `types` belongs to it. */
export function openApiV3Document(
  group: string,
  version: string,
  types: readonly ServedType[],
): Json | undefined {
  const members = types.filter(({ resource }) => resource.group === group && resource.version === version);
  if (members.length === 0) return undefined;
  const schemas: Record<string, JsonSchema> = {};
  const paths: Json = {};
  for (const type of members) {
    const name = schemaName(type);
    addSchema(schemas, name, isDefinition(name) ? definition(name) : schemaWithKind(type));
    const list = `${name}List`;
    addSchema(schemas, list, isDefinition(list) ? definition(list) : listSchema(type, name));
    Object.assign(paths, pathsOf(type, name));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.34.0' },
    paths,
    components: { schemas },
  };
}

/** Adds a schema and all that it refers to. */
function addSchema(schemas: Record<string, JsonSchema>, name: string, schema: JsonSchema): void {
  if (Object.hasOwn(schemas, name)) return;
  const referred = new Set<string>();
  // Set before its references are followed: JSONSchemaProps refers to itself.
  schemas[name] = withPlainReferences(schema, referred) as JsonSchema;
  for (const reference of referred) {
    if (isDefinition(reference)) addSchema(schemas, reference, definition(reference));
  }
}

/** Turns `$ref` back into what OpenAPI 3.0 allows: siblings of a reference must stand beside an `allOf`. */
function withPlainReferences(schema: unknown, referred: Set<string>): unknown {
  if (Array.isArray(schema)) return schema.map((item) => withPlainReferences(item, referred));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref, ...rest } = schema as Json;
  const result: Json = {};
  for (const [key, value] of Object.entries(rest)) {
    result[key] = key === 'default' || key === 'enum' ? value : withPlainReferences(value, referred);
  }
  if (typeof $ref !== 'string') return result;
  referred.add($ref);
  const reference = { $ref: `#/components/schemas/${$ref}` };
  return Object.keys(result).length === 0 ? reference : { ...result, allOf: [reference] };
}

function schemaWithKind({ resource, schema }: ServedType): JsonSchema {
  const { group, version, kind } = resource;
  return { ...schema.openApi, 'x-kubernetes-group-version-kind': [{ group, version, kind }] };
}

function listSchema({ resource }: ServedType, name: string): JsonSchema {
  const { group, version, listKind } = resource;
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: listMetaDefinition },
      items: { type: 'array', items: { $ref: name } },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind: listKind }],
  };
}

function pathsOf({ resource }: ServedType, name: string): Json {
  const { group, version, kind, plural, namespaced, verbs } = resource;
  const scope = namespaced ? 'namespaces/{namespace}/' : '';
  const collection = `/${apiPath(group, version)}/${scope}${plural}`;
  const operation = (verb: string, parameters: readonly string[], body: string): Json => ({
    parameters: parameters.map((parameter) => ({
      name: parameter,
      in: 'query',
      schema: { type: parameter === 'force' ? 'boolean' : 'string' },
    })),
    responses: {
      200: {
        description: 'OK',
        content: { 'application/json': { schema: { $ref: `#/components/schemas/${body}` } } },
      },
    },
    'x-kubernetes-action': verb,
    'x-kubernetes-group-version-kind': { group, version, kind },
  });
  const writing = ['dryRun', 'fieldManager', 'fieldValidation'];
  const pick = (operations: [string, string, Json][]): Json =>
    Object.fromEntries(
      operations.filter(([, verb]) => verbs.includes(verb)).map(([method, , value]) => [method, value]),
    );
  return {
    [collection]: pick([
      ['get', 'list', operation('list', [], `${name}List`)],
      ['post', 'create', operation('post', writing, name)],
    ]),
    [`${collection}/{name}`]: pick([
      ['get', 'get', operation('get', [], name)],
      ['put', 'update', operation('put', writing, name)],
      ['patch', 'patch', operation('patch', [...writing, 'force'], name)],
      ['delete', 'delete', operation('delete', ['dryRun'], name)],
    ]),
  };
}

/** Built-in kinds keep their definition's name; a custom one is named by its reversed group, as the real server does. */
function schemaName({ resource, schema }: ServedType): string {
  if (schema.openApi?.$ref !== undefined) return schema.openApi.$ref;
  return [...resource.group.split('.').reverse(), resource.version, resource.kind].join('.');
}

function apiPath(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}
