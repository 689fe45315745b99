import { isDeepStrictEqual } from 'node:util';
import type { Pod } from '../../api/kubernetes-types.ts';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import type { NodeContext } from './node-context.ts';

/** A pod's object in the API, as its node writes it: never another pod's of the same name. */
export class PodObject {
  readonly #client: NodeContext['client'];
  readonly #uid: string;

  constructor(client: NodeContext['client'], uid: string) {
    this.#client = client;
    this.#uid = uid;
  }

  /**
   * Writes the status where it differs from what the API shows.
   * @param make the status, from the object as it is now
   * @returns `conflict`: somebody else wrote meanwhile, so it is to be made anew; `none`: there is nothing to write, or no pod any more
   */
  async writeStatus(
    pod: Pod,
    make: (live: StoredObject) => NonNullable<Pod['status']>,
  ): Promise<'written' | 'conflict' | 'none'> {
    const { name = '', namespace } = pod.metadata ?? {};
    const live = this.#client.get('pods', namespace, name);
    if (live === undefined || live.metadata.uid !== this.#uid) return 'none';
    const status = make(live);
    if (isDeepStrictEqual(status, live['status'])) return 'none';
    try {
      await this.#client.update('pods', { ...live, status } as StoredObject, { subresource: 'status' });
      return 'written';
    } catch (error) {
      if (error instanceof ApiError && error.code === 404) return 'none';
      if (error instanceof ApiError && error.code === 409) return 'conflict';
      throw error;
    }
  }

  /** Removes the object at once; its processes have ended. */
  async delete(pod: Pod): Promise<void> {
    const { name = '', namespace } = pod.metadata ?? {};
    try {
      await this.#client.delete('pods', namespace, name, {
        gracePeriodSeconds: 0,
        preconditions: { uid: this.#uid },
      });
    } catch (error) {
      // Gone, or already another pod of the same name.
      if (!(error instanceof ApiError && (error.code === 404 || error.code === 409))) throw error;
    }
  }
}
