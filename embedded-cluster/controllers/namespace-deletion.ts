import type { Namespace } from '../../api/kubernetes-types.ts';
import { resourceName } from '../apiserver/registry.ts';
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

  /** Deletes what is there and answers how much of it stays for now. */
  const empty = async (name: string): Promise<number> => {
    let left = 0;
    for (const type of client.resources()) {
      if (!type.namespaced || !type.verbs.includes('delete')) continue;
      const resource = resourceName(type);
      for (const object of client.list(resource, { namespace: name }).items)
        if (object.metadata.deletionTimestamp === undefined)
          await ignoring(['NotFound', 'Conflict'], () =>
            client.delete(resource, name, object.metadata.name ?? '', { propagationPolicy: 'Background' }),
          );
      left += client.list(resource, { namespace: name }).items.length;
    }
    return left;
  };

  /** A pod that has ended may have been the last thing that was waited for. */
  const goingNamespaceOf = (pod: StoredObject): string[] => {
    const { namespace = '' } = pod.metadata;
    const going = client.get('namespaces', undefined, namespace)?.metadata.deletionTimestamp !== undefined;
    return going ? [namespace] : [];
  };

  return {
    name: 'namespace-deletion',
    sources: [
      {
        resource: 'namespaces',
        keys: (namespace) => (namespace.metadata.deletionTimestamp === undefined ? [] : [keyOf(namespace)]),
      },
      { resource: 'pods', keys: goingNamespaceOf },
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
      if ((await empty(name)) > 0) return { againAfterMs: AGAIN_MS };
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
