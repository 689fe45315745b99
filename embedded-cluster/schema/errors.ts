import { ApiError } from '../types.ts';
import type { FieldError } from './types.ts';

/** A patch that cannot be read. */
export function malformedPatch(message: string): ApiError {
  return ApiError.of(400, message, { reason: 'BadRequest' });
}

/** A JSON patch that does not fit the object. The real server says no more than this, and kubectl prints what else it is told instead. */
export function inapplicablePatch(): ApiError {
  return ApiError.of(422, 'the server rejected our request due to an error in our request', {
    reason: 'Invalid',
    details: {},
  });
}

/** A strategic merge patch that breaks its own rules. The real server counts these as its own errors, without a reason. */
export function brokenStrategicPatch(message: string): ApiError {
  return ApiError.of(500, message);
}

export function unsupportedPatchType(supported: readonly string[]): ApiError {
  const types = supported.join(', ');
  const message = `the body of the request was in an unknown format - accepted media types include: ${types}`;
  return ApiError.of(415, message, { reason: 'UnsupportedMediaType' });
}

export function required(field: string, detail = ''): FieldError {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${show(value)}: ${detail}` };
}

/** `values` in the order in which the real server lists them. */
export function notSupported(field: string, value: unknown, values: readonly unknown[]): FieldError {
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${show(value)}: supported values: ${values.map(show).join(', ')}`,
  };
}

export function forbidden(field: string, detail: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

export function duplicate(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${show(value)}` };
}

export function notFound(field: string, value: unknown): FieldError {
  return { field, reason: 'FieldValueNotFound', message: `Not found: ${show(value)}` };
}

export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  return { field, reason: 'FieldValueTypeInvalid', message: `Invalid value: ${show(value)}: ${detail}` };
}

export function tooLong(field: string, maximum: number): FieldError {
  return { field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maximum} bytes` };
}

export function tooMany(field: string, count: number, maximum: number): FieldError {
  return {
    field,
    reason: 'FieldValueTooMany',
    message: `Too many: ${count}: must have at most ${maximum} ${maximum === 1 ? 'item' : 'items'}`,
  };
}

function show(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value);
}
