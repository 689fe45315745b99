import { definition } from './data.ts';
import type { JsonSchema } from './json-schema.ts';

/**
 * What a field holds. `struct` has named fields, `map` values of one type under any key, `any` is kept as it came (RawExtension, JSON, and
 * x-kubernetes-preserve-unknown-fields without properties).
 */
export type NodeKind =
  | 'struct'
  | 'map'
  | 'list'
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'intOrString'
  | 'quantity'
  | 'any';

/** How server-side apply and strategic merge treat a list. */
export type ListMerge = { type: 'atomic' } | { type: 'set' } | { type: 'map'; keys: readonly string[] };

const quantityDefinition = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const metadataDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** Definitions are shared by everything that refers to them, so that a PodSpec is built once. */
const definitions = new Map<string, TypeNode>();

/** One field's type, built on demand from a JSON schema: the recursive types of Kubernetes never end otherwise. */
export class TypeNode {
  readonly kind: NodeKind;
  /** The definition's schema overlaid with what stands beside its `$ref` (default, list type, patch strategy). */
  readonly schema: JsonSchema;
  /** Full name of the definition, where the type has one. */
  readonly definitionName: string | undefined;
  readonly #base: TypeNode | undefined;
  readonly #fields = new Map<string, TypeNode>();
  #items: TypeNode | undefined;
  #values: TypeNode | undefined;

  constructor(schema: JsonSchema, definitionName?: string) {
    const reference = schema.$ref;
    this.#base = reference === undefined ? undefined : typeOfDefinition(reference);
    this.schema = this.#base === undefined ? schema : { ...this.#base.schema, ...schema };
    this.definitionName = reference ?? definitionName;
    this.kind = this.#base?.kind ?? kindOf(schema, definitionName);
  }

  /** The type of a named field, undefined where there is none. */
  field(name: string): TypeNode | undefined {
    if (this.#base !== undefined) return this.#base.field(name);
    const known = this.#fields.get(name);
    if (known !== undefined) return known;
    const properties = this.schema.properties;
    if (properties === undefined || !Object.hasOwn(properties, name)) return undefined;
    const schema = properties[name];
    if (schema === undefined) return undefined;
    const node = new TypeNode(schema);
    this.#fields.set(name, node);
    return node;
  }

  get fieldNames(): readonly string[] {
    return Object.keys(this.schema.properties ?? {});
  }

  /** Element type of a list. */
  get items(): TypeNode {
    if (this.#base !== undefined) return this.#base.items;
    this.#items ??= new TypeNode(this.schema.items ?? {});
    return this.#items;
  }

  /** Value type of a map. */
  get values(): TypeNode {
    if (this.#base !== undefined) return this.#base.values;
    const schema = this.schema.additionalProperties;
    this.#values ??= new TypeNode(typeof schema === 'object' ? schema : {});
    return this.#values;
  }

  /** Type of what stands under `key` of a struct or map. */
  child(key: string): TypeNode | undefined {
    switch (this.kind) {
      case 'struct':
        return this.field(key) ?? (this.preservesUnknown ? untyped : undefined);
      case 'map':
        return this.values;
      case 'any':
        return untyped;
      default:
        return undefined;
    }
  }

  get preservesUnknown(): boolean {
    return this.schema['x-kubernetes-preserve-unknown-fields'] === true || this.kind === 'any';
  }

  /** Objects that change as one: `x-kubernetes-map-type: atomic`. */
  get atomicMap(): boolean {
    return this.schema['x-kubernetes-map-type'] === 'atomic';
  }

  /** Lists without a stated type are atomic (KEP-555). */
  get listMerge(): ListMerge {
    switch (this.schema['x-kubernetes-list-type']) {
      case 'set':
        return { type: 'set' };
      case 'map':
        return { type: 'map', keys: this.schema['x-kubernetes-list-map-keys'] ?? [] };
      default:
        return { type: 'atomic' };
    }
  }
}

/** The shared type of a definition in the generated data. */
export function typeOfDefinition(name: string): TypeNode {
  let node = definitions.get(name);
  if (node === undefined) {
    node = new TypeNode(definition(name), name);
    definitions.set(name, node);
  }
  return node;
}

/** A CRD's schema as a type: the fields that every object has are typed, whatever the author wrote of them. */
export function typeOfCustomResource(schema: JsonSchema): TypeNode {
  return new TypeNode(withObjectFields(withEmbeddedResources(schema)));
}

/** Arbitrary JSON. */
export const untyped = new TypeNode({});

function withObjectFields(schema: JsonSchema): JsonSchema {
  return {
    ...schema,
    type: 'object',
    properties: {
      ...schema.properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: metadataDefinition },
    },
  };
}

/** Adds apiVersion, kind and metadata to each `x-kubernetes-embedded-resource`. */
function withEmbeddedResources(schema: JsonSchema): JsonSchema {
  const result: JsonSchema = { ...schema };
  if (schema.properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, withEmbeddedResources(property)]),
    );
  }
  if (schema.items !== undefined) result.items = withEmbeddedResources(schema.items);
  if (typeof schema.additionalProperties === 'object') {
    result.additionalProperties = withEmbeddedResources(schema.additionalProperties);
  }
  return schema['x-kubernetes-embedded-resource'] === true ? withObjectFields(result) : result;
}

function kindOf(schema: JsonSchema, definitionName: string | undefined): NodeKind {
  if (definitionName === quantityDefinition) return 'quantity';
  if (schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string') {
    return 'intOrString';
  }
  switch (schema.type) {
    case 'object':
      if (schema.properties !== undefined) return 'struct';
      if (typeof schema.additionalProperties === 'object') return 'map';
      return definitionName === undefined &&
        schema['x-kubernetes-preserve-unknown-fields'] !== true &&
        schema.additionalProperties !== true
        ? 'struct'
        : 'any';
    case 'array':
      return 'list';
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return schema.type;
    default:
      return schema.properties === undefined ? 'any' : 'struct';
  }
}
