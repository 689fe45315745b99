import type { IncomingMessage } from 'node:http';
import type { FieldError } from '../../schema/types.ts';
import { invalidOptions } from '../errors.ts';
import { mediaType } from './body.ts';

/** Which options fit together, and which values they take (apimachinery `meta/v1/validation`, `meta/internalversion/validation`). */

const MATCH = 'resourceVersionMatch';

/** Of list and watch; throws 422. */
export function checkListOptions(query: URLSearchParams, isWatch: boolean): void {
  const errors = isWatch ? watchErrors(query) : listErrors(query);
  if (errors.length > 0) throw invalidOptions('ListOptions', ...errors);
}

function listErrors(query: URLSearchParams): FieldError[] {
  const match = query.get(MATCH) ?? '';
  const version = query.get('resourceVersion') ?? '';
  const errors: FieldError[] = [];
  if (match !== '') {
    if (version === '')
      errors.push(forbidden(MATCH, `${MATCH} is forbidden unless resourceVersion is provided`));
    if ((query.get('continue') ?? '') !== '') {
      errors.push(forbidden(MATCH, `${MATCH} is forbidden when continue is provided`));
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(unsupported(MATCH, match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && version === '0') {
      errors.push(forbidden(MATCH, `${MATCH} "exact" is forbidden for resourceVersion "0"`));
    }
  }
  if (query.get('sendInitialEvents') !== null) {
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return errors;
}

function watchErrors(query: URLSearchParams): FieldError[] {
  const match = query.get(MATCH) ?? '';
  if (query.get('sendInitialEvents') === null) {
    if (match === '') return [];
    return [forbidden(MATCH, `${MATCH} is forbidden for watch unless sendInitialEvents is provided`)];
  }
  if (match === 'NotOlderThan') return [];
  const errors = [forbidden(MATCH, `sendInitialEvents requires setting ${MATCH} to NotOlderThan`)];
  if (match !== '') errors.push(unsupported(MATCH, match, ['NotOlderThan']));
  return errors;
}

const OPTIONS_KIND: Readonly<Record<string, string>> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
};
const VALIDATIONS = ['Ignore', 'Strict', 'Warn'];
/** FieldManagerMaxLength. */
const MAX_MANAGER_LENGTH = 128;

/** Of create, update and patch; throws 422. */
export function checkWriteOptions(verb: string, request: IncomingMessage, query: URLSearchParams): void {
  const kind = OPTIONS_KIND[verb];
  if (kind === undefined) return;
  const errors: FieldError[] = [];
  const isApply = mediaType(request) === 'application/apply-patch+yaml';
  if (verb === 'patch' && !isApply && query.get('force') !== null) {
    errors.push(forbidden('force', 'may not be specified for non-apply patch'));
  }
  const manager = query.get('fieldManager') ?? '';
  if (manager.length > MAX_MANAGER_LENGTH) {
    const message = `Too long: may not be more than ${MAX_MANAGER_LENGTH} bytes`;
    errors.push({ field: 'fieldManager', reason: 'FieldValueTooLong', message });
  }
  const unprintable = manager.search(/\p{C}/u);
  if (unprintable !== -1) {
    const code = manager.codePointAt(unprintable)?.toString(16).toUpperCase().padStart(4, '0') ?? '';
    const message = `Invalid value: ${JSON.stringify(manager)}: invalid character U+${code} (at position ${unprintable})`;
    errors.push({ field: 'fieldManager', reason: 'FieldValueInvalid', message });
  }
  const validation = query.get('fieldValidation') ?? '';
  if (validation !== '' && !VALIDATIONS.includes(validation)) {
    errors.push(unsupported('fieldValidation', validation, ['', ...VALIDATIONS]));
  }
  if (errors.length > 0) throw invalidOptions(kind, ...errors);
}

function forbidden(field: string, detail: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

function unsupported(field: string, value: string, supported: readonly string[]): FieldError {
  const list = supported.map((text) => JSON.stringify(text)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
  return { field, reason: 'FieldValueNotSupported', message };
}
