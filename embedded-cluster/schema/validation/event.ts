import type { StoredObject } from '../../types.ts';
import { invalid, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { qualifiedNameProblems } from './names.ts';

/** The fields that both faces of an event have, and those that have two names. */
interface AnyEvent {
  involvedObject?: { namespace?: string };
  regarding?: { namespace?: string };
  eventTime?: string | null;
  type?: string;
  reason?: string;
  action?: string;
  message?: string;
  note?: string;
  reportingComponent?: string;
  reportingController?: string;
  reportingInstance?: string;
}

const MAX_WORD = 128;
const MAX_NOTE = 1024;

/** An event of core/v1. */
export function validateCoreEvent(object: StoredObject): FieldError[] {
  return validateEvent(object, 'reportingComponent');
}

/** An event of events.k8s.io/v1: of those that were not converted more is asked. */
export function validateEventsEvent(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  const event = object as AnyEvent;
  const errors = validateEvent(object, 'reportingController');
  if (old !== undefined) return errors;
  if (isUnset(event.eventTime)) errors.push(required('eventTime'));
  const type = event.type ?? '';
  if (type !== 'Normal' && type !== 'Warning')
    errors.push(invalid('type', type, `has invalid value: ${type}`));
  return errors;
}

function validateEvent(object: StoredObject, controllerField: keyof AnyEvent): FieldError[] {
  const event = object as AnyEvent;
  const { namespace } = object.metadata;
  const about = event.involvedObject?.namespace ?? event.regarding?.namespace ?? '';
  const fits = about === '' ? ['default', ...(isUnset(event.eventTime) ? [] : ['kube-system'])] : [about];
  const errors: FieldError[] = [];
  if (!(about === '' && namespace === undefined) && !fits.includes(namespace ?? ''))
    errors.push(invalid('involvedObject.namespace', about, 'does not match event.namespace'));
  if (isUnset(event.eventTime)) return errors;
  const controller = event.reportingComponent ?? event.reportingController ?? '';
  if (controller === '') errors.push(required(controllerField));
  else
    for (const problem of qualifiedNameProblems(controller))
      errors.push(invalid(controllerField, controller, problem));
  for (const field of ['reportingInstance', 'action', 'reason'] as const) {
    const value = event[field] ?? '';
    if (value === '') errors.push(required(field));
    if (value.length > MAX_WORD) errors.push(invalid(field, '', `can have at most ${MAX_WORD} characters`));
  }
  if ((event.message ?? event.note ?? '').length > MAX_NOTE)
    errors.push(invalid('message', '', `can have at most ${MAX_NOTE} characters`));
  return errors;
}

function isUnset(time: string | null | undefined): boolean {
  return time === undefined || time === null;
}
