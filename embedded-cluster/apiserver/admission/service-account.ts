import type { StoredObject } from '../../types.ts';
import { forbidden } from '../errors.ts';
import { isObject, type JsonObject, valueAt } from '../json.ts';
import { groupResource } from '../operations/core.ts';
import { randomSuffix } from '../operations/names.ts';
import { storageName } from '../registry.ts';
import type { Store } from '../store/store.ts';
import type { AdmissionPlugin } from './chain.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Kubernetes' own: an hour, and some seconds by which the real server recognises tokens that it made longer. */
const TOKEN_SECONDS = 3607;

/** Gives a pod its ServiceAccount, and each container the token, CA and namespace of it (kube-apiserver's ServiceAccount plugin). */
export function serviceAccount(store: Store): AdmissionPlugin {
  return {
    mutate({ operation, call, object, name }) {
      if (operation !== 'CREATE' || call.subresource !== '' || object === undefined) return;
      if (storageName(call.type.resource) !== 'pods' || !isObject(object['spec'])) return;
      const spec = object['spec'];
      const accountName =
        typeof spec['serviceAccountName'] === 'string' && spec['serviceAccountName'] !== ''
          ? spec['serviceAccountName']
          : 'default';
      spec['serviceAccountName'] = accountName;
      spec['serviceAccount'] = accountName;
      const account = store.get('serviceaccounts', call.namespace, accountName);
      if (account === undefined) {
        throw forbidden(
          groupResource(call.type),
          object.metadata.name ?? name,
          `error looking up service account ${call.namespace ?? ''}/${accountName}: serviceaccount ${JSON.stringify(accountName)} not found`,
        );
      }
      if (spec['imagePullSecrets'] === undefined && Array.isArray(account['imagePullSecrets'])) {
        spec['imagePullSecrets'] = account['imagePullSecrets'];
      }
      if (wantsToken(spec, account)) mountToken(spec);
    },
  };
}

function wantsToken(spec: JsonObject, account: StoredObject): boolean {
  if (typeof spec['automountServiceAccountToken'] === 'boolean') return spec['automountServiceAccountToken'];
  return account['automountServiceAccountToken'] !== false;
}

function mountToken(spec: JsonObject): void {
  const containers = [...containersOf(spec, 'initContainers'), ...containersOf(spec, 'containers')];
  const without = containers.filter((container) => {
    const mounts = container['volumeMounts'];
    return !Array.isArray(mounts) || !mounts.some((mount) => valueAt(mount, 'mountPath') === MOUNT_PATH);
  });
  if (without.length === 0) return;
  const volumes: unknown[] = Array.isArray(spec['volumes']) ? spec['volumes'] : [];
  const existing = volumes
    .map((volume) => valueAt(volume, 'name'))
    .find((name) => typeof name === 'string' && name.startsWith('kube-api-access-'));
  const name = typeof existing === 'string' ? existing : `kube-api-access-${randomSuffix()}`;
  if (existing === undefined) spec['volumes'] = [...volumes, tokenVolume(name)];
  for (const container of without) {
    const mounts: unknown[] = Array.isArray(container['volumeMounts']) ? container['volumeMounts'] : [];
    container['volumeMounts'] = [...mounts, { name, readOnly: true, mountPath: MOUNT_PATH }];
  }
}

function containersOf(spec: JsonObject, field: string): JsonObject[] {
  const containers = spec[field];
  return Array.isArray(containers) ? containers.filter(isObject) : [];
}

function tokenVolume(name: string): JsonObject {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 420,
    },
  };
}
