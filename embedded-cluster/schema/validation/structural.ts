import { isDeepStrictEqual } from 'node:util';
import { duplicate, invalid, notSupported, required, tooLong, tooMany, typeInvalid } from '../errors.ts';
import type { JsonSchema } from '../json-schema.ts';
import { TypeNode } from '../type-node.ts';
import type { FieldError } from '../types.ts';
import { formatProblem } from './formats.ts';

/**
 * Validation by a structural OpenAPI schema (CRDs), with the words of the real server's go-openapi validator. CEL rules are not evaluated.
 */
export function validateSchema(value: unknown, root: TypeNode): FieldError[] {
  const errors: FieldError[] = [];
  validateStruct(value as Record<string, unknown>, root, '', errors);
  validateCombinations(value, root.schema, '', errors);
  return errors;
}

function validateValue(value: unknown, type: TypeNode, path: string, errors: FieldError[]): void {
  const { schema } = type;
  if (value === null) {
    if (schema.nullable === true || (type.kind === 'any' && schema.type === undefined)) return;
    errors.push(typeInvalid(path, 'null', mustBeOfType(path, typeName(type), 'null')));
    return;
  }
  if (!hasRightType(value, type)) {
    const got = jsonType(value);
    errors.push(typeInvalid(path, got, mustBeOfType(path, typeName(type), got)));
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => isDeepStrictEqual(allowed, value))) {
    errors.push(notSupported(path, value, schema.enum));
  }
  if (typeof value === 'string') validateString(value, schema, path, errors);
  else if (typeof value === 'number') validateNumber(value, schema, path, errors);
  else if (Array.isArray(value)) validateList(value, type, path, errors);
  else if (typeof value === 'object') validateStruct(value as Record<string, unknown>, type, path, errors);
  validateCombinations(value, schema, path, errors);
}

function validateStruct(
  value: Record<string, unknown>,
  type: TypeNode,
  path: string,
  errors: FieldError[],
): void {
  const { schema } = type;
  for (const name of schema.required ?? []) {
    // Metadata is checked apart.
    if (value[name] === undefined && !(path === '' && name === 'metadata')) {
      errors.push(required(join(path, name)));
    }
  }
  const keys = Object.keys(value);
  if (schema.maxProperties !== undefined && keys.length > schema.maxProperties) {
    errors.push(tooMany(path, keys.length, schema.maxProperties));
  }
  if (schema.minProperties !== undefined && keys.length < schema.minProperties) {
    errors.push(
      invalid(path, keys.length, `${path} in body should have at least ${schema.minProperties} properties`),
    );
  }
  if (type.kind === 'any') return;
  for (const key of keys) {
    const field = type.child(key);
    if (field !== undefined) validateValue(value[key], field, join(path, key), errors);
  }
}

/** At most one error, as the real server stops at the first. Lengths are counted in code points. */
function validateString(value: string, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { maxLength, minLength, pattern, format } = schema;
  const length = maxLength === undefined && minLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && length > maxLength) {
    errors.push(tooLong(path, maxLength));
  } else if (minLength !== undefined && length < minLength) {
    errors.push(invalid(path, value, `${path} in body should be at least ${minLength} chars long`));
  } else if (pattern !== undefined && !matches(value, schema, pattern)) {
    errors.push(invalid(path, value, `${path} in body should match '${pattern}'`));
  } else if (format !== undefined && formatProblem(value, format)) {
    errors.push(invalid(path, value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`));
  }
}

function validateNumber(value: number, schema: JsonSchema, path: string, errors: FieldError[]): void {
  const { minimum, maximum, multipleOf } = schema;
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    const words = schema.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    errors.push(invalid(path, value, `${path} in body should be ${words} ${minimum}`));
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    const words = schema.exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    errors.push(invalid(path, value, `${path} in body should be ${words} ${maximum}`));
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    errors.push(invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
}

function validateList(value: unknown[], type: TypeNode, path: string, errors: FieldError[]): void {
  const { schema } = type;
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push(tooMany(path, value.length, schema.maxItems));
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`));
  }
  for (const [index, item] of value.entries()) {
    validateValue(item, type.items, `${path}[${index}]`, errors);
  }
  validateUniqueness(value, type, path, errors);
}

function validateUniqueness(value: unknown[], type: TypeNode, path: string, errors: FieldError[]): void {
  const { listMerge } = type;
  if (listMerge.type === 'atomic') return;
  const seen = new Set<string>();
  for (const [index, item] of value.entries()) {
    const identity =
      listMerge.type === 'set' || typeof item !== 'object' || item === null
        ? item
        : Object.fromEntries(listMerge.keys.map((key) => [key, (item as Record<string, unknown>)[key]]));
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.push(duplicate(`${path}[${index}]`, identity));
    seen.add(text);
  }
}

/** allOf, anyOf, oneOf and not: in a structural schema they only restrict values, they never add types. */
function validateCombinations(value: unknown, schema: JsonSchema, path: string, errors: FieldError[]): void {
  // Of an int-or-string they repeat what its own type check has said.
  if (schema['x-kubernetes-int-or-string'] === true) return;
  for (const part of schema.allOf ?? []) errors.push(...problems(value, part, path));
  if (schema.anyOf !== undefined && !schema.anyOf.some((part) => fits(value, part, path))) {
    errors.push(combination(`${JSON.stringify(path)} must validate at least one schema (anyOf)`));
    errors.push(...firstProblems(value, schema.anyOf, path));
  }
  if (schema.oneOf !== undefined) {
    const fitting = schema.oneOf.filter((part) => fits(value, part, path)).length;
    if (fitting !== 1) {
      const found = fitting === 0 ? 'Found none valid' : `Found ${fitting} valid alternatives`;
      errors.push(
        combination(`${JSON.stringify(path)} must validate one and only one schema (oneOf). ${found}`),
      );
      if (fitting === 0) errors.push(...firstProblems(value, schema.oneOf, path));
    }
  }
  if (schema.not !== undefined && fits(value, schema.not, path)) {
    errors.push(combination(`${JSON.stringify(path)} must not validate the schema (not)`));
  }
}

/** The real server names no field for these. */
function combination(detail: string): FieldError {
  return invalid('<nil>', '', detail);
}

function firstProblems(value: unknown, alternatives: readonly JsonSchema[], path: string): FieldError[] {
  const [first] = alternatives;
  return first === undefined ? [] : problems(value, first, path);
}

function fits(value: unknown, schema: JsonSchema, path: string): boolean {
  return problems(value, schema, path).length === 0;
}

function problems(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  validateValue(value, new TypeNode(schema), path, errors);
  return errors;
}

function hasRightType(value: unknown, type: TypeNode): boolean {
  switch (type.kind) {
    case 'struct':
    case 'map':
      return type.schema.type === undefined || (typeof value === 'object' && !Array.isArray(value));
    case 'list':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type.kind;
    case 'intOrString':
    case 'quantity':
      return typeof value === 'string' || Number.isInteger(value);
    default:
      return type.schema.type !== 'object' || (typeof value === 'object' && !Array.isArray(value));
  }
}

function typeName(type: TypeNode): string {
  if (type.kind === 'intOrString') return 'integer,string';
  return type.schema.type ?? 'object';
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function mustBeOfType(path: string, type: string, got: string): string {
  return `${path} in body must be of type ${type}: ${JSON.stringify(got)}`;
}

/** Goes with the schema, so that CRDs that come and go leave nothing behind. */
const patterns = new WeakMap<JsonSchema, RegExp>();

/** Go's RE2 syntax is close enough to ECMAScript's `u`; compileCrd has refused patterns that do not compile. */
function matches(value: string, schema: JsonSchema, pattern: string): boolean {
  let compiled = patterns.get(schema);
  if (compiled === undefined) {
    compiled = compilePattern(pattern);
    patterns.set(schema, compiled);
  }
  return compiled.test(value);
}

/** Throws SyntaxError where the pattern is none. Some patterns escape what `u` forbids to escape. */
export function compilePattern(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return new RegExp(pattern);
  }
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
