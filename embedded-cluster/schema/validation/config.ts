import { isDeepStrictEqual } from 'node:util';
import type { ConfigMap, Secret } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { forbidden, invalid, required, tooLong } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { configKeyProblem } from './names.ts';

/** Of all values together, in bytes. */
const maxContentBytes = 1024 * 1024;
const redacted = '<secret contents redacted>';

/** Keys that a Secret of a type must have. */
const neededKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};
const jsonKeys: readonly string[] = ['.dockercfg', '.dockerconfigjson'];
const serviceAccountAnnotation = 'kubernetes.io/service-account.name';

export function validateConfigMap(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const { data = {}, binaryData = {} } = object as ConfigMap;
  const errors = [...validateKeys(data, 'data'), ...validateKeys(binaryData, 'binaryData')];
  for (const key of Object.keys(data)) {
    if (Object.hasOwn(binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
  }
  const size =
    Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0) + base64Bytes(binaryData);
  if (size > maxContentBytes) errors.push(tooLong('[]', maxContentBytes));
  return [...errors, ...validateImmutable(object, old, ['data', 'binaryData'])];
}

export function validateSecret(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const secret = object as Secret;
  const { data = {}, type = '' } = secret;
  const errors = validateKeys(data, 'data');
  if (base64Bytes(data) > maxContentBytes) errors.push(tooLong('data', maxContentBytes));
  for (const key of neededKeys[type] ?? []) {
    if (data[key] === undefined) errors.push(required(`data[${key}]`));
    else if (jsonKeys.includes(key) && !isJson(data[key])) {
      errors.push(invalid(`data[${key}]`, redacted, 'must be valid JSON'));
    }
  }
  if (
    type === 'kubernetes.io/basic-auth' &&
    data['username'] === undefined &&
    data['password'] === undefined
  ) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  if (
    type === 'kubernetes.io/service-account-token' &&
    !object.metadata.annotations?.[serviceAccountAnnotation]
  ) {
    errors.push(required(`metadata.annotations[${serviceAccountAnnotation}]`));
  }
  if (old !== undefined && (old as Secret).type !== secret.type) {
    errors.push(invalid('type', secret.type, 'field is immutable'));
  }
  return [...errors, ...validateImmutable(object, old, ['data'])];
}

function validateKeys(data: Record<string, string>, path: string): FieldError[] {
  return Object.keys(data).flatMap((key) => {
    const problem = configKeyProblem(key);
    return problem === undefined ? [] : [invalid(`${path}[${key}]`, key, problem)];
  });
}

function validateImmutable(
  object: StoredObject,
  old: StoredObject | undefined,
  fields: readonly string[],
): FieldError[] {
  if (old?.['immutable'] !== true) return [];
  const changed = fields.filter((field) => !isDeepStrictEqual(object[field] ?? {}, old[field] ?? {}));
  if (object['immutable'] !== true) changed.unshift('immutable');
  return changed.map((field) => forbidden(field, 'field is immutable when `immutable` is set'));
}

function base64Bytes(data: Record<string, string>): number {
  return Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, 'base64'), 0);
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString());
    return true;
  } catch {
    return false;
  }
}
