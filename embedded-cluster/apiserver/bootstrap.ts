import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { ApiError, type LoopbackClient } from '../types.ts';
import { defaultClusterRoleBindings, defaultClusterRoles } from './authz/default-roles.ts';
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES } from './authz/rbac.ts';
import { API_SERVICE_ADDRESS } from './operations/service-allocation.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Makes what every cluster has from the start, and puts right what depends on this start (the server's address). */
export async function bootstrap(client: LoopbackClient, address: string, port: number): Promise<void> {
  for (const name of NAMESPACES) await ensure(client, 'namespaces', { metadata: { name } });
  for (const role of defaultClusterRoles()) await ensure(client, CLUSTER_ROLES, role);
  for (const binding of defaultClusterRoleBindings()) await ensure(client, CLUSTER_ROLE_BINDINGS, binding);
  await ensure(client, 'services', apiService(port));
  await ensureEndpoints(client, address, port);
}

async function ensure(client: LoopbackClient, resource: string, object: KubernetesObject): Promise<void> {
  if (client.get(resource, object.metadata?.namespace, object.metadata?.name ?? '') !== undefined) return;
  await client.create(resource, object);
}

const LABELS = { component: 'apiserver', provider: 'kubernetes' };

function apiService(port: number): KubernetesObject & Record<string, unknown> {
  return {
    metadata: { name: 'kubernetes', namespace: 'default', labels: LABELS },
    spec: {
      clusterIP: API_SERVICE_ADDRESS,
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
  };
}

async function ensureEndpoints(client: LoopbackClient, address: string, port: number): Promise<void> {
  const resource = 'endpointslices.discovery.k8s.io';
  const slice: KubernetesObject & Record<string, unknown> = {
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': 'kubernetes' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  };
  try {
    await client.create(resource, slice);
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
    await client.update(resource, slice);
  }
}
