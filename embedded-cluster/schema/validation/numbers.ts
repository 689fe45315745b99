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

/** A count, or a share such as `25%`. */
export function intOrPercent(value: number | string | undefined, field: string): FieldError[] {
  if (typeof value === 'number') return nonNegative(value, field);
  if (value === undefined || /^[0-9]+%$/.test(value)) return [];
  return [
    invalid(
      field,
      value,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ),
  ];
}
