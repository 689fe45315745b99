import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject } from '../../../api/kubernetes-types.ts';
import type { KubernetesClient, Resource } from '../../../kubernetes/types.ts';

/** Changes to a cluster that a test makes and takes back. */
export class Changes {
  readonly #client: KubernetesClient;
  readonly #undo: (() => Promise<unknown>)[] = [];

  constructor(client: KubernetesClient) {
    this.#client = client;
  }

  /** Creates an object, its status too. */
  async add<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<void> {
    const { namespace, name = '' } = object.metadata ?? {};
    const made = await this.#client.create(resource, object);
    this.#undo.push(() => this.#client.delete(resource, namespace, name));
    if ('status' in object) {
      await this.#client.replace(resource, { ...made, status: object.status }, { subresource: 'status' });
    }
  }

  /** Changes an object (in place), its status too. */
  async edit<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    change: (object: T) => void,
  ): Promise<void> {
    const before = await this.#client.get(resource, namespace, name);
    const after = structuredClone(before);
    change(after);
    const withStatus = !isDeepStrictEqual(statusOf(before), statusOf(after));
    this.#undo.push(() => this.#write(resource, before, withStatus));
    await this.#write(resource, after, withStatus);
  }

  /** Deletes an object. */
  async remove<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<void> {
    const before = await this.#client.get(resource, namespace, name);
    await this.#client.delete(resource, namespace, name);
    this.#undo.push(() => {
      const { resourceVersion: _version, uid: _uid, ...metadata } = before.metadata ?? {};
      return this.#client.create(resource, { ...before, metadata });
    });
  }

  async undo(): Promise<void> {
    for (const undo of this.#undo.toReversed()) await undo();
    this.#undo.length = 0;
  }

  async #write<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    withStatus: boolean,
  ): Promise<void> {
    const { namespace, name = '' } = object.metadata ?? {};
    const { metadata } = await this.#client.get(resource, namespace, name);
    const resourceVersion = metadata?.resourceVersion ?? '';
    const made = await this.#client.replace(resource, {
      ...object,
      metadata: { ...object.metadata, resourceVersion },
    });
    if (withStatus) {
      const { status } = object as { status?: object };
      await this.#client.replace(resource, { ...made, status }, { subresource: 'status' });
    }
  }
}

function statusOf(object: KubernetesObject): unknown {
  return 'status' in object ? object.status : undefined;
}
