import { isDeepStrictEqual } from 'node:util';
import type { CustomResourceDefinition } from '../../../api/kubernetes-types.ts';
import { duplicate, forbidden, invalid, notSupported, required, typeInvalid } from '../errors.ts';
import type { JsonSchema } from '../json-schema.ts';
import type { FieldError } from '../types.ts';
import { dns1035LabelProblem, dns1123SubdomainProblem } from './names.ts';
import { compilePattern } from './structural.ts';

/** Deeper schemas would overflow the stack of a recursive walk; no real CRD comes near. */
const maxSchemaDepth = 100;

const schemaTypes: readonly string[] = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** The rules of apiextensions/v1 that decide whether a CRD can be served (structural schemas, KEP-2335). */
export function validateCrdSpec(crd: CustomResourceDefinition): FieldError[] {
  const { spec, metadata } = crd;
  const errors: FieldError[] = [];
  if (!spec.group) errors.push(required('spec.group'));
  else if (!spec.group.includes('.')) {
    errors.push(invalid('spec.group', spec.group, 'should be a domain with at least one dot'));
  } else {
    const problem = dns1123SubdomainProblem(spec.group);
    if (problem !== undefined) errors.push(invalid('spec.group', spec.group, problem));
  }
  if (!(spec.scope as string | undefined)) errors.push(required('spec.scope'));
  else if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster') {
    errors.push(notSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']));
  }
  errors.push(...validateNames(spec));
  const expected = `${spec.names.plural}.${spec.group}`;
  if (spec.names.plural && spec.group && metadata?.name !== expected) {
    errors.push(invalid('metadata.name', metadata?.name, 'must be spec.names.plural+"."+spec.group'));
  }
  errors.push(...validateVersions(spec));
  return errors;
}

function validateNames({ names }: CustomResourceDefinition['spec']): FieldError[] {
  const errors: FieldError[] = [];
  if (!names.plural) errors.push(required('spec.names.plural'));
  else errors.push(...labelErrors('spec.names.plural', names.plural));
  if (names.singular) errors.push(...labelErrors('spec.names.singular', names.singular));
  for (const [index, name] of (names.shortNames ?? []).entries()) {
    errors.push(...labelErrors(`spec.names.shortNames[${index}]`, name));
  }
  if (!names.kind) errors.push(required('spec.names.kind'));
  else errors.push(...kindErrors('spec.names.kind', names.kind));
  if (names.listKind) {
    errors.push(...kindErrors('spec.names.listKind', names.listKind));
    if (names.listKind === names.kind) {
      errors.push(invalid('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
    }
  }
  return errors;
}

function labelErrors(field: string, value: string): FieldError[] {
  const problem = dns1035LabelProblem(value);
  return problem === undefined ? [] : [invalid(field, value, problem)];
}

function kindErrors(field: string, value: string): FieldError[] {
  const problem = dns1035LabelProblem(value.toLowerCase());
  if (problem === undefined) return [];
  return [invalid(field, value, `may have mixed case, but should otherwise match: ${problem}`)];
}

function validateVersions(spec: CustomResourceDefinition['spec']): FieldError[] {
  const errors: FieldError[] = [];
  const versions = (spec.versions as CustomResourceDefinition['spec']['versions'] | undefined) ?? [];
  const names = new Set<string>();
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`;
    const problem = dns1035LabelProblem(version.name);
    if (problem !== undefined) errors.push(invalid(`${path}.name`, version.name, problem));
    if (names.has(version.name)) errors.push(duplicate(`${path}.name`, version.name));
    names.add(version.name);
    if (version.schema?.openAPIV3Schema === undefined) {
      errors.push(required(`${path}.schema.openAPIV3Schema`));
    }
    for (const [column, { name, type, jsonPath }] of (version.additionalPrinterColumns ?? []).entries()) {
      const columnPath = `${path}.additionalPrinterColumns[${column}]`;
      if (!name) errors.push(required(`${columnPath}.name`));
      if (!type) errors.push(required(`${columnPath}.type`));
      if (!jsonPath) errors.push(required(`${columnPath}.jsonPath`));
    }
  }
  for (const [path, schema] of schemasOf(versions)) errors.push(...validateSchemaNode(schema, path, 0));
  const stored = versions.filter((version) => version.storage).length;
  if (stored !== 1) {
    errors.push(
      invalid(
        'spec.versions',
        versions.map(({ name }) => name),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  return errors;
}

/** Each schema and where it stands. One that all versions share is, to the real server, the CRD's own. */
function schemasOf(
  versions: CustomResourceDefinition['spec']['versions'],
): [path: string, schema: JsonSchema][] {
  const schemas = versions.map(({ schema }) => schema?.openAPIV3Schema as JsonSchema | undefined);
  const [first] = schemas;
  if (first !== undefined && schemas.every((schema) => isDeepStrictEqual(schema, first))) {
    return [['spec.validation.openAPIV3Schema', first]];
  }
  return schemas.flatMap((schema, index): [string, JsonSchema][] =>
    schema === undefined ? [] : [[`spec.versions[${index}].schema.openAPIV3Schema`, schema]],
  );
}

function validateSchemaNode(schema: JsonSchema, path: string, depth: number): FieldError[] {
  if (depth > maxSchemaDepth) return [forbidden(path, `must not be nested deeper than ${maxSchemaDepth}`)];
  const errors: FieldError[] = [];
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  const preserves = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (depth === 0 && schema.type !== 'object') {
    errors.push(invalid(`${path}.type`, schema.type ?? '', 'must be object at the root'));
  } else if (!schema.type && !intOrString && !preserves) {
    errors.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  } else if (schema.type && !schemaTypes.includes(schema.type)) {
    errors.push(notSupported(`${path}.type`, schema.type, schemaTypes));
  }
  if (schema.$ref !== undefined) errors.push(forbidden(`${path}.$ref`, '$ref is not supported'));
  if (schema.uniqueItems === true) {
    errors.push(
      forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  if (schema.additionalProperties !== undefined && schema.properties !== undefined) {
    errors.push(
      forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    );
  }
  if (schema.type === 'array' && schema.items === undefined) {
    errors.push(required(`${path}.items`, 'must be specified'));
  }
  if (schema.pattern !== undefined && !compiles(schema.pattern)) {
    errors.push(invalid(`${path}.pattern`, schema.pattern, 'must be a valid regular expression'));
  }
  errors.push(...validateListType(schema, path), ...validateChildren(schema, path, depth));
  return errors;
}

function validateListType(schema: JsonSchema, path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (listType === undefined) return [];
  if (!['atomic', 'map', 'set'].includes(listType)) {
    return [notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'map', 'set'])];
  }
  if (listType !== 'map') return [];
  if (keys.length === 0) {
    return [
      required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
    ];
  }
  return keys
    .filter((key) => schema.items?.properties?.[key] === undefined)
    .map((key) =>
      invalid(`${path}.x-kubernetes-list-map-keys`, key, 'entries must all be names of item properties'),
    );
}

/** A default must be of the schema's own type. */
function validateDefault({ type, default: fallback }: JsonSchema, path: string): FieldError[] {
  if (fallback === undefined || fallback === null || type === undefined) return [];
  const got = jsonType(fallback);
  if (got === type || (got === 'integer' && type === 'number')) return [];
  const detail = ` in body must be of type ${type}: ${JSON.stringify(got)}`;
  return [typeInvalid(`${path}.default`, got, detail)];
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function validateChildren(schema: JsonSchema, path: string, depth: number): FieldError[] {
  const errors = Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
    // Metadata at the root is typed by the server, whatever stands here.
    depth === 0 && name === 'metadata'
      ? []
      : [
          ...validateSchemaNode(property, `${path}.properties[${name}]`, depth + 1),
          ...validateDefault(property, `${path}.properties[${name}]`),
        ],
  );
  if (schema.items !== undefined)
    errors.push(...validateSchemaNode(schema.items, `${path}.items`, depth + 1));
  if (typeof schema.additionalProperties === 'object') {
    errors.push(
      ...validateSchemaNode(schema.additionalProperties, `${path}.additionalProperties`, depth + 1),
    );
  }
  return errors;
}

function compiles(pattern: string): boolean {
  try {
    compilePattern(pattern);
    return true;
  } catch {
    return false;
  }
}
