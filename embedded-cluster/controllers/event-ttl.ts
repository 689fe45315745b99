import type { CoreEvent } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring } from './controller.ts';

/** kube-apiserver's `--event-ttl`. */
const EVENT_TTL_MS = 3600 * 1000;
const SWEEP_MS = 5 * 60 * 1000;
const SWEEP = 'sweep';

/** Deletes events an hour after they last happened. */
export function eventTtl(context: ControllerContext): ControllerSpec {
  const { client, clock } = context;
  return {
    name: 'event-ttl',
    sources: [
      { resource: 'namespaces', options: { fieldSelector: 'metadata.name=default' }, keys: () => [SWEEP] },
    ],
    async reconcile() {
      for (const event of client.list('events').items as (StoredObject & CoreEvent)[]) {
        const { name = '', namespace, creationTimestamp } = event.metadata;
        const last = Date.parse(event.lastTimestamp ?? creationTimestamp ?? '');
        if (clock.now() - last > EVENT_TTL_MS)
          await ignoring(['NotFound'], () => client.delete('events', namespace, name));
      }
      return { againAfterMs: SWEEP_MS };
    },
  };
}
