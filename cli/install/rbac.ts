import type {
  ClusterRole,
  KubernetesObject,
  PolicyRule,
  Role,
  RoleBinding,
} from '../../api/kubernetes-types.ts';
import { CLUSTER_ID_PROPERTY, component, LINKERD_WEBHOOK, object } from '../../api/names.ts';
import { policyResources } from '../../kubernetes/policy-resources.ts';
import type { Resource } from '../../kubernetes/types.ts';
import { labels, meta } from './pod-parts.ts';
import type { InstallValues } from './values.ts';

const RBAC = 'rbac.authorization.k8s.io';
/** What a cache needs: it lists, then watches. */
const FOLLOW = ['list', 'watch'];
const LEASES = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
/** What an election for one Lease needs; a name can not bound its creation. */
function election(lease: string): PolicyRule[] {
  return [
    { ...LEASES, verbs: ['create'] },
    { ...LEASES, resourceNames: [lease], verbs: ['get', 'update'] },
  ];
}

/** ClusterRole of a linked cluster's ServiceAccount: what its mirror controller must see here, and nothing else. */
export const LINK_ACCESS_ROLE = 'isthmus-link-access';

const LINK_ACCESS_RULES: PolicyRule[] = [
  { apiGroups: [''], resources: ['services'], verbs: FOLLOW },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: FOLLOW },
  {
    apiGroups: ['about.k8s.io'],
    resources: ['clusterproperties'],
    resourceNames: [CLUSTER_ID_PROPERTY],
    verbs: ['get'],
  },
];

const READ_POLICIES: readonly Resource[] = Object.values(policyResources);

function policyDefinitions(): string[] {
  return READ_POLICIES.map(({ plural, group }) => `${plural}.${group}`);
}

function policyRules(): PolicyRule[] {
  const groups = [...new Set(READ_POLICIES.map(({ group }) => group))];
  return groups.map((group) => ({
    apiGroups: [group],
    resources: READ_POLICIES.filter((one) => one.group === group).map(({ plural }) => plural),
    verbs: FOLLOW,
  }));
}

const CONTROL_PLANE_CLUSTER_RULES: PolicyRule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: [''], resources: ['services', 'pods', 'nodes'], verbs: FOLLOW },
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get', ...FOLLOW] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: FOLLOW },
  // An injected pod's event is told on the Deployment that owns its ReplicaSet.
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['get'] },
  // The trust anchors are kept in every namespace that has meshed pods. They are applied, so that the name bounds `create` as well.
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: [object.trustRootsConfigMap],
    verbs: [...FOLLOW, 'create', 'patch'],
  },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  // The kinds of policy: whether the cluster has them, and what they say.
  {
    apiGroups: ['apiextensions.k8s.io'],
    resources: ['customresourcedefinitions'],
    resourceNames: policyDefinitions(),
    verbs: FOLLOW,
  },
  ...policyRules(),
  // What becomes of routes is told in their status.
  { apiGroups: ['policy.linkerd.io'], resources: ['httproutes/status'], verbs: ['patch'] },
  {
    apiGroups: ['gateway.networking.k8s.io'],
    resources: ['httproutes/status', 'grpcroutes/status'],
    verbs: ['patch'],
  },
  { apiGroups: ['isthmus.dev'], resources: ['trustbundles'], verbs: FOLLOW },
  { apiGroups: ['isthmus.dev'], resources: ['trustbundles/status'], verbs: ['patch'] },
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: [object.injectorWebhook, LINKERD_WEBHOOK],
    verbs: FOLLOW,
  },
  {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: [object.injectorWebhook],
    verbs: ['update'],
  },
];

const CONTROL_PLANE_RULES: PolicyRule[] = [
  {
    apiGroups: [''],
    resources: ['secrets'],
    resourceNames: [object.issuerSecret, object.injectorTlsSecret],
    verbs: FOLLOW,
  },
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: [object.injectorTlsSecret], verbs: ['update'] },
  // One replica tells of pods without sidecar.
  ...election(object.reportLease),
  // One tells what becomes of policies.
  { ...LEASES, resourceNames: [object.policyLease], verbs: ['get', 'update'] },
];

const MIRROR_CLUSTER_RULES: PolicyRule[] = [
  {
    apiGroups: [''],
    resources: ['services'],
    verbs: ['get', ...FOLLOW, 'create', 'update', 'delete'],
  },
  {
    apiGroups: ['discovery.k8s.io'],
    resources: ['endpointslices'],
    verbs: ['get', ...FOLLOW, 'create', 'update', 'delete'],
  },
  { apiGroups: [''], resources: ['namespaces'], verbs: FOLLOW },
];

const MIRROR_RULES: PolicyRule[] = [
  // On the Link: what can not be mirrored.
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
  { apiGroups: ['isthmus.dev'], resources: ['links'], verbs: FOLLOW },
  { apiGroups: ['isthmus.dev'], resources: ['links/status'], verbs: ['patch'] },
  // Any of them may be a Link's.
  { apiGroups: [''], resources: ['secrets'], verbs: FOLLOW },
  // The gateway's: where no load balancer leads to it, linked clusters are told its nodes.
  { apiGroups: [''], resources: ['pods'], verbs: FOLLOW },
  ...election(object.mirrorLease),
];

/** Accounts of the components and their rights: what each really asks for, no more. */
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
