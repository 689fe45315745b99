import type { ManagedFieldsEntry } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import { fixedDefaults } from './builtin-defaults.ts';
import { decodeObject } from './decode.ts';
import { applyDefaults, dropNulls, shortDefinitionName } from './defaults.ts';
import { unsupportedPatchType } from './errors.ts';
import { FieldManager } from './field-manager.ts';
import type { ApplyRequest, UpdateRequest } from './field-manager.ts';
import type { JsonSchema } from './json-schema.ts';
import { pruneCustom } from './prune-custom.ts';
import { strategicMergePatch } from './strategic-merge.ts';
import type { TypeNode } from './type-node.ts';
import type { FieldError, ObjectSchema } from './types.ts';
import { validateBuiltin } from './validation/builtin.ts';
import { validateCustom } from './validation/custom.ts';

export interface SchemaOptions {
  group: string;
  version: string;
  kind: string;
  namespaced: boolean;
  hasStatus: boolean;
  custom: boolean;
}

/** What both sorts of kinds share: the type and the ownership of fields. */
abstract class TypedSchema {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly openApi: JsonSchema;
  protected readonly type: TypeNode;
  protected readonly namespaced: boolean;
  readonly #fieldManager: FieldManager;

  constructor(type: TypeNode, openApi: JsonSchema, options: SchemaOptions) {
    this.group = options.group;
    this.version = options.version;
    this.kind = options.kind;
    this.namespaced = options.namespaced;
    this.type = type;
    this.openApi = openApi;
    const apiVersion = options.group === '' ? options.version : `${options.group}/${options.version}`;
    this.#fieldManager = new FieldManager(type, {
      apiVersion,
      kind: options.kind,
      hasStatus: options.hasStatus,
      custom: options.custom,
    });
  }

  serverSideApply(request: ApplyRequest): StoredObject {
    return this.#fieldManager.apply(request);
  }

  trackUpdate(request: UpdateRequest): ManagedFieldsEntry[] {
    return this.#fieldManager.update(request);
  }
}

/** A kind of the generated data. */
export class BuiltinSchema extends TypedSchema implements ObjectSchema {
  prune(object: StoredObject): string[] {
    return decodeObject(object, this.type);
  }

  applyDefaults(object: StoredObject): void {
    applyDefaults(object, this.type);
  }

  storedForm(object: StoredObject): StoredObject {
    const unset = Object.entries(fixedDefaults[shortDefinitionName(this.type) ?? ''] ?? {})
      .filter(([field, fallback]) => fallback === null && isEmptyList(object[field]))
      .map(([field]) => [field, null] as const);
    return unset.length === 0 ? object : { ...object, ...Object.fromEntries(unset) };
  }

  validate(object: StoredObject, old?: StoredObject): FieldError[] {
    return validateBuiltin(object, old, { type: this.type, group: this.group, namespaced: this.namespaced });
  }

  strategicMergePatch(current: StoredObject, patch: unknown): StoredObject {
    return strategicMergePatch(current, patch, this.type);
  }
}

/** A kind of a CustomResourceDefinition. */
export class CustomSchema extends TypedSchema implements ObjectSchema {
  prune(object: StoredObject): string[] {
    return pruneCustom(object, this.type);
  }

  applyDefaults(object: StoredObject, nullsStay = false): void {
    if (!nullsStay) dropNulls(object, this.type);
    applyDefaults(object, this.type);
  }

  storedForm(object: StoredObject): StoredObject {
    return object;
  }

  validate(object: StoredObject, old?: StoredObject): FieldError[] {
    return validateCustom(object, old, { type: this.type, namespaced: this.namespaced });
  }

  strategicMergePatch(): StoredObject {
    throw unsupportedPatchType([
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/apply-patch+yaml',
    ]);
  }
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
