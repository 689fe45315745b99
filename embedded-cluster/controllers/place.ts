import type { LoopbackClient, StoredObject } from '../types.ts';

/** Where an object stands: its key in the collector's queue. */
export interface Place {
  resource: string;
  namespace: string | undefined;
  name: string;
}

/** The object that stands at a place now. */
export function at(client: LoopbackClient, { resource, namespace, name }: Place): StoredObject | undefined {
  return client.get(resource, namespace, name);
}

/** The key of a place. */
export function formatPlace(place: Place): string {
  return `${place.resource}|${place.namespace ?? ''}|${place.name}`;
}

/** Takes `formatPlace` apart again. */
export function parsePlace(key: string): Place {
  const [resource = '', namespace = '', name = ''] = key.split('|');
  return { resource, namespace: namespace === '' ? undefined : namespace, name };
}
