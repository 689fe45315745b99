import { invalid } from '../errors.ts';
import type { FieldError } from '../types.ts';

export function nonNegative(value: number | undefined, field: string): FieldError[] {
  return value === undefined || value >= 0
    ? []
    : [invalid(field, value, 'must be greater than or equal to 0')];
}

export function positive(value: number | undefined, field: string): FieldError[] {
  return value === undefined || value > 0 ? [] : [invalid(field, value, 'must be greater than 0')];
}
