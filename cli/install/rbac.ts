import type {
  ClusterRole,
  KubernetesObject,
  PolicyRule,
  Role,
  RoleBinding,
} from '../../api/kubernetes-types.ts';
import { component, object } from '../../api/names.ts';
import { labels, meta } from './pod-parts.ts';
import type { InstallValues } from './values.ts';

const RBAC = 'rbac.authorization.k8s.io';
const READ = ['get', 'list', 'watch'];

/** ClusterRole of a linked cluster's ServiceAccount: what its mirror controller must see here, and nothing else. */
export const LINK_ACCESS_ROLE = 'isthmus-link-access';

const LINK_ACCESS_RULES: PolicyRule[] = [
  { apiGroups: [''], resources: ['services', 'namespaces'], verbs: READ },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
  { apiGroups: ['about.k8s.io'], resources: ['clusterproperties'], verbs: READ },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
];

const CONTROL_PLANE_CLUSTER_RULES: PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: READ },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
  { apiGroups: ['apps'], resources: ['replicasets', 'deployments'], verbs: READ },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: READ },
  // The trust anchors are kept in every namespace that has meshed pods.
  { apiGroups: [''], resources: ['configmaps'], verbs: [...READ, 'create', 'update', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['isthmus.dev'], resources: ['trustbundles'], verbs: READ },
  { apiGroups: ['isthmus.dev'], resources: ['trustbundles/status'], verbs: ['get', 'patch', 'update'] },
  { apiGroups: ['admissionregistration.k8s.io'], resources: ['mutatingwebhookconfigurations'], verbs: READ },
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: [object.injectorWebhook],
    verbs: ['patch', 'update'],
  },
];

const CONTROL_PLANE_RULES: PolicyRule[] = [
  { apiGroups: [''], resources: ['secrets'], verbs: [...READ, 'create', 'update', 'patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update', 'patch'] },
];

const MIRROR_CLUSTER_RULES: PolicyRule[] = [
  {
    apiGroups: [''],
    resources: ['services'],
    verbs: [...READ, 'create', 'update', 'patch', 'delete'],
  },
  {
    apiGroups: ['discovery.k8s.io'],
    resources: ['endpointslices'],
    verbs: [...READ, 'create', 'update', 'patch', 'delete'],
  },
  { apiGroups: [''], resources: ['namespaces'], verbs: READ },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['about.k8s.io'], resources: ['clusterproperties'], verbs: READ },
];

const MIRROR_RULES: PolicyRule[] = [
  { apiGroups: ['isthmus.dev'], resources: ['links'], verbs: [...READ, 'update', 'patch'] },
  { apiGroups: ['isthmus.dev'], resources: ['links/status'], verbs: ['get', 'update', 'patch'] },
  { apiGroups: ['isthmus.dev'], resources: ['links/finalizers'], verbs: ['update'] },
  { apiGroups: [''], resources: ['secrets'], verbs: READ },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update', 'patch'] },
];

export function rbac(values: InstallValues): KubernetesObject[] {
  const accounts = [component.controlPlane, component.mirrorController, component.gateway];
  return [
    ...accounts.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(values, name) })),
    ...clusterWide(values, component.controlPlane, CONTROL_PLANE_CLUSTER_RULES),
    ...inMeshNamespace(values, component.controlPlane, CONTROL_PLANE_RULES),
    ...clusterWide(values, component.mirrorController, MIRROR_CLUSTER_RULES),
    ...inMeshNamespace(values, component.mirrorController, MIRROR_RULES),
    clusterRole(LINK_ACCESS_ROLE, LINK_ACCESS_RULES),
  ];
}

function clusterRole(name: string, rules: PolicyRule[]): ClusterRole {
  return { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name, labels: labels(name) }, rules };
}

function clusterWide(values: InstallValues, name: string, rules: PolicyRule[]): KubernetesObject[] {
  const binding: RoleBinding = {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name, labels: labels(name) },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: values.meshNamespace }],
  };
  return [clusterRole(name, rules), binding];
}

function inMeshNamespace(values: InstallValues, name: string, rules: PolicyRule[]): KubernetesObject[] {
  const role: Role = { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata: meta(values, name), rules };
  const binding: RoleBinding = {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata: meta(values, name),
    roleRef: { apiGroup: RBAC, kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: values.meshNamespace }],
  };
  return [role, binding];
}
