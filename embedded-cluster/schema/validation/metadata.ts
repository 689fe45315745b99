import type { StoredObject } from '../../types.ts';
import { forbidden, invalid, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { labelValueProblems, qualifiedNameProblems } from './names.ts';

/** Sum of all keys and values, in bytes. */
const maxAnnotationsBytes = 256 * 1024;

/** Set by the server once; a client that sends another value is told so. */
const immutableFields = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

const standardFinalizers: readonly string[] = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** The rules of metadata that hold for every kind (k8s.io/apimachinery/pkg/api/validation). */
export function validateMetadata(
  object: StoredObject,
  old: StoredObject | undefined,
  options: { namespaced: boolean; nameProblem: (name: string) => string | undefined },
): FieldError[] {
  const { metadata } = object;
  const errors: FieldError[] = [];
  if (metadata.generateName !== undefined && metadata.generateName !== '') {
    // What follows the prefix is alphanumeric, so a trailing separator is fine.
    const problem = options.nameProblem(metadata.generateName.replace(/[-.]$/, 'a'));
    if (problem !== undefined) errors.push(invalid('metadata.generateName', metadata.generateName, problem));
  }
  if (metadata.name === undefined || metadata.name === '') {
    errors.push(required('metadata.name', 'name or generateName is required'));
  } else if (old === undefined) {
    const problem = options.nameProblem(metadata.name);
    if (problem !== undefined) errors.push(invalid('metadata.name', metadata.name, problem));
  }
  if (!options.namespaced && metadata.namespace !== undefined && metadata.namespace !== '') {
    errors.push(forbidden('metadata.namespace', 'not allowed on this type'));
  }
  errors.push(
    ...validateLabels(metadata.labels, 'metadata.labels'),
    ...validateAnnotations(metadata.annotations, 'metadata.annotations'),
    ...validateOwners(object),
    ...validateFinalizers(metadata.finalizers),
  );
  if (old !== undefined) errors.push(...validateImmutable(object, old));
  return errors;
}

export function validateLabels(labels: Record<string, string> | undefined, path: string): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalid(path, key, problem)),
    ...labelValueProblems(value).map((problem) => invalid(path, value, problem)),
  ]);
}

export function validateAnnotations(
  annotations: Record<string, string> | undefined,
  path: string,
): FieldError[] {
  const entries = Object.entries(annotations ?? {});
  const errors = entries.flatMap(([key]) =>
    qualifiedNameProblems(key.toLowerCase()).map((problem) => invalid(path, key, problem)),
  );
  const size = entries.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  if (size > maxAnnotationsBytes) {
    errors.push({
      field: path,
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${maxAnnotationsBytes} bytes`,
    });
  }
  return errors;
}

function validateOwners(object: StoredObject): FieldError[] {
  const errors: FieldError[] = [];
  const owners = object.metadata.ownerReferences ?? [];
  const path = 'metadata.ownerReferences';
  for (const owner of owners) {
    const version = owner.apiVersion ?? '';
    if (!/^([^/]+\/)?[^/]+$/.test(version)) {
      errors.push(invalid(`${path}.apiVersion`, version, 'version must not be empty'));
    }
    if (!owner.kind) errors.push(invalid(`${path}.kind`, '', 'must not be empty'));
    if (!owner.name) errors.push(invalid(`${path}.name`, '', 'must not be empty'));
    if (!owner.uid) errors.push(invalid(`${path}.uid`, '', 'must not be empty'));
    if (version === 'v1' && owner.kind === 'Event') {
      errors.push(invalid(path, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
  }
  const controllers = owners.filter((owner) => owner.controller === true);
  const [first, second] = controllers;
  if (first !== undefined && second !== undefined) {
    errors.push(
      invalid(
        'metadata.ownerReferences',
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${first.kind}/${first.name} and ${second.kind}/${second.name}`,
      ),
    );
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[] | undefined): FieldError[] {
  return (finalizers ?? []).flatMap((finalizer, index) => {
    const field = `metadata.finalizers[${index}]`;
    const errors = qualifiedNameProblems(finalizer).map((problem) =>
      invalid('metadata.finalizers', finalizer, problem),
    );
    if (!finalizer.includes('/') && !standardFinalizers.includes(finalizer)) {
      errors.push(
        invalid(field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified'),
      );
    }
    return errors;
  });
}

function validateImmutable(object: StoredObject, old: StoredObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of immutableFields) {
    if (object.metadata[field] !== old.metadata[field]) {
      errors.push(invalid(`metadata.${field}`, object.metadata[field], 'field is immutable'));
    }
  }
  const known = new Set(old.metadata.finalizers ?? []);
  if (old.metadata.deletionTimestamp !== undefined) {
    const added = (object.metadata.finalizers ?? []).filter((finalizer) => !known.has(finalizer));
    if (added.length > 0) {
      errors.push(
        forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added
            .map((finalizer) => JSON.stringify(finalizer))
            .join(', ')}}`,
        ),
      );
    }
  }
  return errors;
}
