import type { Lease } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import type { FieldError } from '../types.ts';
import { nonNegative, positive } from './numbers.ts';

export function validateLease(object: StoredObject): FieldError[] {
  const { spec } = object as Lease;
  return [
    ...positive(spec?.leaseDurationSeconds, 'spec.leaseDurationSeconds'),
    ...nonNegative(spec?.leaseTransitions, 'spec.leaseTransitions'),
  ];
}
