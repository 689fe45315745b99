import type { StoredObject } from '../../types.ts';
import type { TypeNode } from '../type-node.ts';
import type { FieldError } from '../types.ts';
import { validateMetadata } from './metadata.ts';
import { dns1123SubdomainProblem } from './names.ts';
import { validateSchema } from './structural.ts';

/** Everything wrong with a custom resource: metadata and what the CRD's schema says of the rest. */
export function validateCustom(
  object: StoredObject,
  old: StoredObject | undefined,
  options: { type: TypeNode; namespaced: boolean },
): FieldError[] {
  const { metadata: _, ...rest } = object;
  return [
    ...validateMetadata(object, old, {
      namespaced: options.namespaced,
      nameProblem: dns1123SubdomainProblem,
    }),
    ...validateSchema(rest, options.type),
  ];
}
