import type { Namespace } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf } from './controller.ts';

/** What every namespace is given: the `default` ServiceAccount and the API server's CA in ConfigMap `kube-root-ca.crt`, put back when lost or changed. */
export function namespaceContents(context: ControllerContext, rootCa: string): ControllerSpec {
  const { client } = context;
  const ofNamespace =
    (name: string) =>
    (object: StoredObject): string[] =>
      object.metadata.name === name ? [object.metadata.namespace ?? ''] : [];
  return {
    name: 'namespace-contents',
    sources: [
      { resource: 'namespaces', keys: (namespace) => [keyOf(namespace)] },
      { resource: 'serviceaccounts', keys: ofNamespace(SERVICE_ACCOUNT) },
      { resource: 'configmaps', keys: ofNamespace(ROOT_CA) },
    ],
    async reconcile(name) {
      const namespace = client.get('namespaces', undefined, name) as Namespace | undefined;
      if (namespace === undefined || namespace.metadata?.deletionTimestamp !== undefined) return;
      if (client.get('serviceaccounts', name, SERVICE_ACCOUNT) === undefined)
        await ignoring(['AlreadyExists'], () =>
          client.create('serviceaccounts', {
            apiVersion: 'v1',
            kind: 'ServiceAccount',
            metadata: { name: SERVICE_ACCOUNT, namespace: name },
          }),
        );
      const data = { 'ca.crt': rootCa };
      const held = client.get('configmaps', name, ROOT_CA);
      if (held === undefined) {
        const metadata = { name: ROOT_CA, namespace: name, annotations: { [DESCRIPTION]: WHAT_IT_IS } };
        const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
        await ignoring(['AlreadyExists'], () => client.create('configmaps', object));
      } else if ((held['data'] as Record<string, string> | undefined)?.['ca.crt'] !== rootCa) {
        await client.patch('configmaps', name, ROOT_CA, { data });
      }
    },
  };
}

const SERVICE_ACCOUNT = 'default';
const ROOT_CA = 'kube-root-ca.crt';
const DESCRIPTION = 'kubernetes.io/description';
const WHAT_IT_IS = 'The certificate authority to verify this API server with.';
