import { ApiError } from '../../types.ts';
import { forbidden, notFound } from '../errors.ts';
import { groupResource } from '../operations/core.ts';
import { storageName } from '../registry.ts';
import type { Store } from '../store/store.ts';
import type { AdmissionPlugin } from './chain.ts';

/** Namespaces that can't be deleted. */
const IMMORTAL = new Set(['default', 'kube-system', 'kube-public']);

const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Nothing is made in a namespace that is missing (404) or going (403); namespaces carry their name as a label. */
export function namespaceLifecycle(store: Store): AdmissionPlugin {
  return {
    mutate({ operation, call, object }) {
      if (storageName(call.type.resource) === 'namespaces') {
        if (object === undefined || call.subresource !== '') return;
        const { name } = object.metadata;
        if (name !== undefined) object.metadata.labels = { ...object.metadata.labels, [NAME_LABEL]: name };
        return;
      }
      if (operation !== 'CREATE' || call.namespace === undefined) return;
      const namespace = store.get('namespaces', undefined, call.namespace);
      if (namespace === undefined) throw notFound({ group: '', resource: 'namespaces' }, call.namespace);
      if (namespace.metadata.deletionTimestamp === undefined) return;
      throw terminating(
        call.namespace,
        forbidden(
          groupResource(call.type),
          object?.metadata.name ?? '',
          `unable to create new content in namespace ${call.namespace} because it is being terminated`,
        ),
      );
    },
    validate({ operation, call, name }) {
      if (operation === 'DELETE' && storageName(call.type.resource) === 'namespaces' && IMMORTAL.has(name)) {
        throw forbidden(groupResource(call.type), name, 'this namespace may not be deleted');
      }
    },
  };
}

/** Controllers tell this 403 from others by its cause. */
function terminating(namespace: string, { status }: ApiError): ApiError {
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  return new ApiError({ ...status, details: { ...status.details, causes: [cause] } });
}
