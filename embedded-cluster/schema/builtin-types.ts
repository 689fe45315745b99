import type { ResourceType } from '../types.ts';
import type { ResourceData } from './data.ts';
import { builtinGroupVersions, definitionOfKind, loadGroupVersion } from './data.ts';
import { BuiltinSchema } from './object-schema.ts';
import { builtinPrinter } from './printing/builtin-printer.ts';
import { typeOfDefinition } from './type-node.ts';
import type { ObjectSchema, Printer, ServedType } from './types.ts';

/** Every built-in kind that is served. Cheap: schemas are built when a kind is first used. */
export function builtinTypes(): ServedType[] {
  return builtinGroupVersions.flatMap(([group, version]) =>
    loadGroupVersion(group, version).resources.map((data) => new BuiltinType(group, version, data)),
  );
}

class BuiltinType implements ServedType {
  readonly resource: ResourceType;
  readonly #data: ResourceData;
  #schema: ObjectSchema | undefined;
  #printer: Printer | undefined;

  constructor(group: string, version: string, data: ResourceData) {
    const { columns: _, ...description } = data;
    this.#data = data;
    this.resource = { ...description, group, version, listKind: `${data.kind}List`, custom: false };
  }

  get schema(): ObjectSchema {
    this.#schema ??= this.#build();
    return this.#schema;
  }

  get printer(): Printer {
    this.#printer ??= builtinPrinter(this.resource.group, this.#data);
    return this.#printer;
  }

  #build(): ObjectSchema {
    const { group, version, kind, namespaced, subresources } = this.resource;
    const name = definitionOfKind(group, version, kind);
    return new BuiltinSchema(
      typeOfDefinition(name),
      { $ref: name },
      {
        group,
        version,
        kind,
        namespaced,
        hasStatus: subresources.some((subresource) => subresource.name === 'status'),
        custom: false,
      },
    );
  }
}
