import type { LabelSelector } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { invalid } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { validateSelector } from './label-selector.ts';
import { intOrPercent } from './numbers.ts';

interface BudgetSpec {
  minAvailable?: number | string;
  maxUnavailable?: number | string;
  selector?: LabelSelector;
  unhealthyPodEvictionPolicy?: string | null;
}

export function validateDisruptionBudget(object: StoredObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as BudgetSpec;
  const errors: FieldError[] = [];
  if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined)
    errors.push(invalid('spec', goValue(spec), 'minAvailable and maxUnavailable cannot be both set'));
  for (const field of ['minAvailable', 'maxUnavailable'] as const) {
    const value = spec[field];
    errors.push(...intOrPercent(value, `spec.${field}`));
    if (typeof value === 'string' && /^\d+%$/.test(value) && parseInt(value, 10) > 100)
      errors.push(invalid(`spec.${field}`, value, 'must not be greater than 100%'));
  }
  errors.push(...validateSelector(spec.selector, 'spec.selector'));
  return errors;
}

/** The real server shows its own Go value here. */
function goValue({ minAvailable, selector, maxUnavailable, unhealthyPodEvictionPolicy = null }: BudgetSpec) {
  return {
    MinAvailable: minAvailable,
    Selector: selector,
    MaxUnavailable: maxUnavailable,
    UnhealthyPodEvictionPolicy: unhealthyPodEvictionPolicy,
  };
}
