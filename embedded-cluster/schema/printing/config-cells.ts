import type { StoredObject } from '../../types.ts';
import { age } from './age.ts';
import { nameOf } from './text.ts';

export function configMapCells(object: StoredObject, now: number): unknown[] {
  const size = sizeOf(object['data']) + sizeOf(object['binaryData']);
  return [nameOf(object), size, age(object.metadata.creationTimestamp, now)];
}

export function secretCells(object: StoredObject, now: number): unknown[] {
  return [
    nameOf(object),
    object['type'] ?? '',
    sizeOf(object['data']),
    age(object.metadata.creationTimestamp, now),
  ];
}

export function serviceAccountCells(object: StoredObject, now: number): unknown[] {
  return [nameOf(object), sizeOf(object['secrets']), age(object.metadata.creationTimestamp, now)];
}

export function webhookConfigurationCells(object: StoredObject, now: number): unknown[] {
  return [nameOf(object), sizeOf(object['webhooks']), age(object.metadata.creationTimestamp, now)];
}

export function priorityClassCells(object: StoredObject, now: number): unknown[] {
  return [
    nameOf(object),
    object['value'] ?? 0,
    object['globalDefault'] === true,
    age(object.metadata.creationTimestamp, now),
    object['preemptionPolicy'] ?? '',
  ];
}

export function disruptionBudgetCells(object: StoredObject, now: number): unknown[] {
  const spec = (object['spec'] ?? {}) as { minAvailable?: number | string; maxUnavailable?: number | string };
  const status = (object['status'] ?? {}) as { disruptionsAllowed?: number };
  return [
    nameOf(object),
    String(spec.minAvailable ?? 'N/A'),
    String(spec.maxUnavailable ?? 'N/A'),
    status.disruptionsAllowed ?? 0,
    age(object.metadata.creationTimestamp, now),
  ];
}

/** Entries of a map or items of a list. */
function sizeOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}
