import type { ManagedFieldsEntry } from '../../api/kubernetes-types.ts';
import type { ResourceType, StoredObject } from '../types.ts';
import type { JsonSchema } from './json-schema.ts';

/** One thing wrong with an object, as `details.causes` and the message of a 422 list it. */
export interface FieldError {
  /** JSON path, as Kubernetes writes it: `spec.ports[0].port`. */
  field: string;
  reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueTypeInvalid'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound';
  /** The text after `<field>: `, such as `Invalid value: "x": must be …`. */
  message: string;
}

/** What the server knows of one kind at one version, from generated data or from a CRD. */
export interface ObjectSchema {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The schema that OpenAPI documents show: of a built-in kind a `$ref` to its definition. */
  readonly openApi?: JsonSchema;
  /**
   * Removes unknown fields in place and returns their paths (for `fieldValidation`). Values of a wrong JSON type throw
   * a 400 like the real server's decoder.
   */
  prune(object: StoredObject): string[];
  /** Fills in defaults in place. In a custom resource an explicit null of a field that is not nullable counts as left out, unless `nullsStay`. */
  applyDefaults(object: StoredObject, nullsStay?: boolean): void;
  /** What comes out of storage again: built-in kinds go through protobuf, which does not tell an empty list from one that was never set. */
  storedForm(object: StoredObject): StoredObject;
  /** Everything that is wrong, in document order. `old` is the object before an update (immutable fields). */
  validate(object: StoredObject, old?: StoredObject): FieldError[];
  /** `application/strategic-merge-patch+json`; for a CRD throws 415. */
  strategicMergePatch(current: StoredObject, patch: unknown): StoredObject;
  /** Server-side apply; throws 409 with FieldManagerConflict causes unless `force`. Result carries new managedFields. */
  serverSideApply(request: {
    live: StoredObject | undefined;
    applied: StoredObject;
    manager: string;
    force: boolean;
    subresource?: string;
    now: string;
  }): StoredObject;
  /** managedFields after an Update by `manager`. */
  trackUpdate(request: {
    live: StoredObject | undefined;
    updated: StoredObject;
    manager: string;
    subresource?: string;
    now: string;
  }): ManagedFieldsEntry[];
}

/** meta.k8s.io/v1 Table, rows without objects. */
export interface TableColumn {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

/** How kubectl's `get` shows a kind. */
export interface Printer {
  readonly columns: readonly TableColumn[];
  /** One cell per column. `now` in ms since the epoch (ages are relative). */
  row(object: StoredObject, now: number): unknown[];
}

/** A served type: discovery, schema and printer together. */
export interface ServedType {
  readonly resource: ResourceType;
  readonly schema: ObjectSchema;
  readonly printer: Printer;
}
