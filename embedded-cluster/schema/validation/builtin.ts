import type { StoredObject } from '../../types.ts';
import type { TypeNode } from '../type-node.ts';
import type { FieldError } from '../types.ts';
import { validateEnums } from './enums.ts';
import { validateMetadata } from './metadata.ts';
import { nameProblemOf, rulesOf } from './rules.ts';

/** Everything wrong with an object of a built-in kind: metadata, the rules of the kind, and enums that the rules did not speak of. */
export function validateBuiltin(
  object: StoredObject,
  old: StoredObject | undefined,
  options: { type: TypeNode; group: string; namespaced: boolean },
): FieldError[] {
  const errors = [
    ...validateMetadata(object, old, {
      namespaced: options.namespaced,
      nameProblem: nameProblemOf(options.group, object.kind),
    }),
    ...rulesOf(options.group, object.kind)(object, old),
  ];
  // What is wrong as a whole, or has been named already, is not taken apart.
  const told = errors.map(({ field }) => field);
  const enums = validateEnums(object, options.type).filter(
    ({ field }) => !told.some((path) => field === path || field.startsWith(`${path}.`)),
  );
  return [...errors, ...enums];
}
