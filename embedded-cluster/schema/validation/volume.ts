import type { KeyToPath, ProjectedSource, Volume } from '../../../api/kubernetes-types.ts';
import { duplicate, forbidden, invalid, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { dns1123LabelProblem } from './names.ts';

/** 0777: no bits beyond permissions. */
const maxMode = 0o777;
/** What the real server asks of projected tokens, in seconds. */
const minTokenSeconds = 600;
const maxTokenSeconds = 2 ** 32;

/** A pod's volumes. */
export function validateVolumes(volumes: readonly Volume[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, volume] of volumes.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateSource(volume, at));
    if (!volume.name) errors.push(required(`${at}.name`));
    else {
      const problem = dns1123LabelProblem(volume.name);
      if (problem !== undefined) errors.push(invalid(`${at}.name`, volume.name, problem));
      else if (names.has(volume.name)) errors.push(duplicate(`${at}.name`, volume.name));
    }
    names.add(volume.name);
  }
  return errors;
}

function validateSource(volume: Volume, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const kinds = Object.keys(volume).filter((key) => key !== 'name');
  const [first] = [...kinds].sort((a, b) => rank(a) - rank(b));
  for (const kind of kinds) {
    if (kind !== first) errors.push(forbidden(`${path}.${kind}`, 'may not specify more than 1 volume type'));
  }
  if (first === 'hostPath' && !volume.hostPath?.path) errors.push(required(`${path}.hostPath.path`));
  if (first === 'secret' && volume.secret !== undefined) {
    if (!volume.secret.secretName) errors.push(required(`${path}.secret.secretName`));
    errors.push(...validateFiles(volume.secret, `${path}.secret`));
  }
  if (first === 'configMap' && volume.configMap !== undefined) {
    if (!volume.configMap.name) errors.push(required(`${path}.configMap.name`));
    errors.push(...validateFiles(volume.configMap, `${path}.configMap`));
  }
  if (first === 'projected' && volume.projected !== undefined) {
    errors.push(...validateMode(volume.projected.defaultMode, `${path}.projected.defaultMode`));
    for (const [index, source] of (volume.projected.sources ?? []).entries()) {
      errors.push(...validateProjection(source, `${path}.projected.sources[${index}]`));
    }
  }
  return errors;
}

/** The first in the real server's order of checking is the one that counts. */
function rank(kind: string): number {
  const order = ['emptyDir', 'hostPath', 'secret', 'configMap', 'projected', 'downwardAPI'];
  const index = order.indexOf(kind);
  return index < 0 ? order.length : index;
}

function validateProjection(source: ProjectedSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const token = source.serviceAccountToken;
  if (token !== undefined) {
    const at = `${path}.serviceAccountToken`;
    const seconds = token.expirationSeconds ?? 0;
    if (seconds < minTokenSeconds) {
      errors.push(
        invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'),
      );
    }
    if (seconds > maxTokenSeconds) {
      errors.push(
        invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'),
      );
    }
    if (!token.path) errors.push(required(`${at}.path`));
    else errors.push(...validatePath(token.path, `${at}.path`));
  }
  for (const kind of ['configMap', 'secret'] as const) {
    const files = source[kind];
    if (files === undefined) continue;
    if (!files.name) errors.push(required(`${path}.${kind}.name`));
    errors.push(...validateFiles(files, `${path}.${kind}`));
  }
  return errors;
}

function validateFiles(files: { items?: KeyToPath[]; defaultMode?: number }, path: string): FieldError[] {
  const errors = validateMode(files.defaultMode, `${path}.defaultMode`);
  for (const [index, item] of (files.items ?? []).entries()) {
    const at = `${path}.items[${index}]`;
    if (!item.key) errors.push(required(`${at}.key`));
    if (!item.path) errors.push(required(`${at}.path`));
    else errors.push(...validatePath(item.path, `${at}.path`));
    errors.push(...validateMode(item.mode, `${at}.mode`));
  }
  return errors;
}

function validateMode(mode: number | undefined, path: string): FieldError[] {
  return mode === undefined || (mode >= 0 && mode <= maxMode)
    ? []
    : [invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}

function validatePath(value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (value.startsWith('/')) errors.push(invalid(path, value, 'must be a relative path'));
  if (value.split('/').includes('..')) errors.push(invalid(path, value, "must not contain '..'"));
  else if (value.startsWith('..')) errors.push(invalid(path, value, "must not start with '..'"));
  return errors;
}
