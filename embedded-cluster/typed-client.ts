import type { KubernetesObject } from '../api/kubernetes-types.ts';
import type { ListOptions, LoopbackClient, StoredObject } from './types.ts';

/** An object as stored, with the fields of its kind. The API server has validated it. */
export type Stored<T extends KubernetesObject> = StoredObject & T;

/** `client.get` of a kind that the caller knows by its resource. */
export function getAs<T extends KubernetesObject>(
  client: LoopbackClient,
  resource: string,
  namespace: string | undefined,
  name: string,
): Stored<T> | undefined {
  return client.get(resource, namespace, name) as Stored<T> | undefined;
}

/** The items of `client.list` of a kind that the caller knows by its resource. */
export function listAs<T extends KubernetesObject>(
  client: LoopbackClient,
  resource: string,
  options?: ListOptions,
): Stored<T>[] {
  return client.list(resource, options).items as Stored<T>[];
}
