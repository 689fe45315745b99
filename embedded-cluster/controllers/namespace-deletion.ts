import type { Namespace } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf } from './controller.ts';
import { getAs } from '../typed-client.ts';

/** What is left of a namespace (pods in their grace, objects with finalizers) is looked at again after this. */
const AGAIN_MS = 1000;
const FINALIZER = 'kubernetes';

/** Empties namespaces that are being deleted, then takes off the finalizer `kubernetes` that held them. */
export function namespaceDeletion(context: ControllerContext): ControllerSpec {
  const { client } = context;

  const empty = async (name: string): Promise<number> => {
    let left = 0;
    for (const type of client.resources()) {
      if (!type.namespaced || !type.verbs.includes('delete')) continue;
      const resource = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
      const { items } = client.list(resource, { namespace: name });
      left += items.length;
      for (const object of items)
        if (object.metadata.deletionTimestamp === undefined)
          await ignoring(['NotFound', 'Conflict'], () =>
            client.delete(resource, name, object.metadata.name ?? '', { propagationPolicy: 'Background' }),
          );
    }
    return left;
  };

  return {
    name: 'namespace-deletion',
    sources: [
      {
        resource: 'namespaces',
        keys: (namespace) => (namespace.metadata.deletionTimestamp === undefined ? [] : [keyOf(namespace)]),
      },
    ],
    async reconcile(name) {
      const namespace = getAs<Namespace>(client, 'namespaces', undefined, name);
      if (namespace?.metadata.deletionTimestamp === undefined) return undefined;
      if (namespace.status?.phase !== 'Terminating')
        await client.patch(
          'namespaces',
          undefined,
          name,
          { status: { phase: 'Terminating' } },
          { subresource: 'status' },
        );
      // Counted before the deletes: one more look finds out whether all of them went at once.
      if ((await empty(name)) > 0)
        return { againAfterMs: remaining(client.list('pods', { namespace: name })) };
      const finalizers = (namespace.spec?.finalizers ?? []).filter((f) => f !== FINALIZER);
      const current = client.get('namespaces', undefined, name);
      if (current === undefined) return undefined;
      await ignoring(['NotFound'], () =>
        client.update('namespaces', { ...current, spec: { ...namespace.spec, finalizers } } as Namespace, {
          subresource: 'finalize',
        }),
      );
      return undefined;
    },
  };
}

/** At once when only objects without grace were there. */
function remaining(pods: { items: readonly StoredObject[] }): number {
  return pods.items.length === 0 ? 0 : AGAIN_MS;
}
