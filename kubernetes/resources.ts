import type { Link, TrustBundle } from '../api/isthmus-types.ts';
import type {
  ClusterRole,
  ConfigMap,
  CoreEvent,
  CustomResourceDefinition,
  Deployment,
  EndpointSlice,
  KubernetesObject,
  Lease,
  MutatingWebhookConfiguration,
  Namespace,
  Node,
  Pod,
  PodDisruptionBudget,
  ReplicaSet,
  Role,
  RoleBinding,
  Secret,
  Service,
  ServiceAccount,
} from '../api/kubernetes-types.ts';
import { POLICY_GROUP } from '../api/policy-types.ts';
import type {
  AuthorizationPolicy,
  HttpLocalRateLimitPolicy,
  MeshTlsAuthentication,
  NetworkAuthentication,
  PolicyServer,
  ServerAuthorization,
  ServiceProfile,
} from '../api/policy-types.ts';
import { GATEWAY_GROUP, type GrpcRoute, type HttpRoute } from '../api/route-types.ts';
import type { Resource } from './types.ts';

function resource<T extends KubernetesObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
): Resource<T> {
  return { group, version, plural, kind, namespaced };
}

/** The resources that Isthmus uses. */
export const resources = {
  namespaces: resource<Namespace>('', 'v1', 'namespaces', 'Namespace', false),
  nodes: resource<Node>('', 'v1', 'nodes', 'Node', false),
  pods: resource<Pod>('', 'v1', 'pods', 'Pod'),
  services: resource<Service>('', 'v1', 'services', 'Service'),
  secrets: resource<Secret>('', 'v1', 'secrets', 'Secret'),
  configMaps: resource<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap'),
  serviceAccounts: resource<ServiceAccount>('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  events: resource<CoreEvent>('', 'v1', 'events', 'Event'),
  deployments: resource<Deployment>('apps', 'v1', 'deployments', 'Deployment'),
  replicaSets: resource<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet'),
  endpointSlices: resource<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  leases: resource<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  podDisruptionBudgets: resource<PodDisruptionBudget>(
    'policy',
    'v1',
    'poddisruptionbudgets',
    'PodDisruptionBudget',
  ),
  roles: resource<Role>('rbac.authorization.k8s.io', 'v1', 'roles', 'Role'),
  roleBindings: resource<RoleBinding>('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding'),
  clusterRoles: resource<ClusterRole>(
    'rbac.authorization.k8s.io',
    'v1',
    'clusterroles',
    'ClusterRole',
    false,
  ),
  clusterRoleBindings: resource<RoleBinding>(
    'rbac.authorization.k8s.io',
    'v1',
    'clusterrolebindings',
    'ClusterRoleBinding',
    false,
  ),
  customResourceDefinitions: resource<CustomResourceDefinition>(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  mutatingWebhookConfigurations: resource<MutatingWebhookConfiguration>(
    'admissionregistration.k8s.io',
    'v1',
    'mutatingwebhookconfigurations',
    'MutatingWebhookConfiguration',
    false,
  ),
  links: resource<Link>('isthmus.dev', 'v1alpha1', 'links', 'Link'),
  trustBundles: resource<TrustBundle>('isthmus.dev', 'v1alpha1', 'trustbundles', 'TrustBundle', false),
  clusterProperties: resource<KubernetesObject & { spec?: { value?: string } }>(
    'about.k8s.io',
    'v1beta1',
    'clusterproperties',
    'ClusterProperty',
    false,
  ),
  servers: resource<PolicyServer>(POLICY_GROUP, 'v1beta3', 'servers', 'Server'),
  serverAuthorizations: resource<ServerAuthorization>(
    POLICY_GROUP,
    'v1beta1',
    'serverauthorizations',
    'ServerAuthorization',
  ),
  authorizationPolicies: resource<AuthorizationPolicy>(
    POLICY_GROUP,
    'v1alpha1',
    'authorizationpolicies',
    'AuthorizationPolicy',
  ),
  meshTlsAuthentications: resource<MeshTlsAuthentication>(
    POLICY_GROUP,
    'v1alpha1',
    'meshtlsauthentications',
    'MeshTLSAuthentication',
  ),
  networkAuthentications: resource<NetworkAuthentication>(
    POLICY_GROUP,
    'v1alpha1',
    'networkauthentications',
    'NetworkAuthentication',
  ),
  httpLocalRateLimitPolicies: resource<HttpLocalRateLimitPolicy>(
    POLICY_GROUP,
    'v1alpha1',
    'httplocalratelimitpolicies',
    'HTTPLocalRateLimitPolicy',
  ),
  /** Linkerd's, from before the Gateway API had a stable one. */
  policyHttpRoutes: resource<HttpRoute>(POLICY_GROUP, 'v1beta3', 'httproutes', 'HTTPRoute'),
  httpRoutes: resource<HttpRoute>(GATEWAY_GROUP, 'v1', 'httproutes', 'HTTPRoute'),
  grpcRoutes: resource<GrpcRoute>(GATEWAY_GROUP, 'v1', 'grpcroutes', 'GRPCRoute'),
  serviceProfiles: resource<ServiceProfile>('linkerd.io', 'v1alpha2', 'serviceprofiles', 'ServiceProfile'),
};

/** URL path of a resource's collection, or of one object. */
export function resourcePath(
  r: Resource,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = r.group === '' ? `/api/${r.version}` : `/apis/${r.group}/${r.version}`;
  const ns = r.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const tail = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${ns}/${r.plural}${tail}${subresource === undefined ? '' : `/${subresource}`}`;
}
