import type { KubernetesObject } from '../../../api/kubernetes-types.ts';
import type { PolicyRule } from './rules.ts';

/** The roles and bindings that every cluster begins with (kube-apiserver's `bootstrappolicy`), as far as this cluster serves what they speak of. */

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];

const WORKLOADS: PolicyRule[] = [
  {
    apiGroups: ['apps'],
    resources: [
      'daemonsets',
      'deployments',
      'deployments/rollback',
      'deployments/scale',
      'replicasets',
      'replicasets/scale',
      'statefulsets',
      'statefulsets/scale',
    ],
    verbs: [],
  },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: [] },
  { apiGroups: ['batch'], resources: ['cronjobs', 'jobs'], verbs: [] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: [] },
  { apiGroups: ['networking.k8s.io'], resources: ['ingresses', 'networkpolicies'], verbs: [] },
];

const VIEW: PolicyRule[] = [
  {
    apiGroups: [''],
    resources: [
      'configmaps',
      'endpoints',
      'persistentvolumeclaims',
      'persistentvolumeclaims/status',
      'pods',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'serviceaccounts',
      'services',
      'services/status',
    ],
    verbs: READ,
  },
  {
    apiGroups: [''],
    resources: [
      'bindings',
      'events',
      'limitranges',
      'namespaces',
      'namespaces/status',
      'pods/log',
      'pods/status',
      'replicationcontrollers/status',
      'resourcequotas',
      'resourcequotas/status',
    ],
    verbs: READ,
  },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
  ...WORKLOADS.map((rule) => ({ ...rule, verbs: READ })),
];

const EDIT: PolicyRule[] = [
  {
    apiGroups: [''],
    resources: ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'],
    verbs: READ,
  },
  { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'] },
  {
    apiGroups: [''],
    resources: ['pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'],
    verbs: WRITE,
  },
  { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
  {
    apiGroups: [''],
    resources: [
      'configmaps',
      'events',
      'persistentvolumeclaims',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'secrets',
      'serviceaccounts',
      'services',
      'services/proxy',
    ],
    verbs: WRITE,
  },
  { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: [...WRITE, ...READ] },
  ...WORKLOADS.map((rule) => ({ ...rule, verbs: WRITE })),
];

const ADMIN: PolicyRule[] = [
  { apiGroups: ['authorization.k8s.io'], resources: ['localsubjectaccessreviews'], verbs: ['create'] },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['rolebindings', 'roles'],
    verbs: [...WRITE, ...READ],
  },
];

const DISCOVERY_URLS = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];

const ROLES: Record<string, PolicyRule[]> = {
  'cluster-admin': [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ],
  'system:discovery': [{ nonResourceURLs: DISCOVERY_URLS, verbs: ['get'] }],
  'system:public-info-viewer': [
    { nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'], verbs: ['get'] },
  ],
  'system:service-account-issuer-discovery': [
    {
      nonResourceURLs: [
        '/.well-known/openid-configuration',
        '/.well-known/openid-configuration/',
        '/openid/v1/jwks',
        '/openid/v1/jwks/',
      ],
      verbs: ['get'],
    },
  ],
  'system:basic-user': [
    {
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      verbs: ['create'],
    },
    { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] },
  ],
  'system:auth-delegator': [
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ],
  'system:aggregate-to-view': VIEW,
  'system:aggregate-to-edit': EDIT,
  'system:aggregate-to-admin': ADMIN,
};

/** Roles whose rules are the union of others', by label. */
const AGGREGATED: Record<string, string[]> = {
  view: ['view'],
  edit: ['edit'],
  admin: ['admin'],
};

const GROUP = 'rbac.authorization.k8s.io';
const AGGREGATE_LABEL = `${GROUP}/aggregate-to-`;

const BINDINGS: Record<string, string[]> = {
  'cluster-admin': ['system:masters'],
  'system:discovery': ['system:authenticated'],
  'system:basic-user': ['system:authenticated'],
  'system:public-info-viewer': ['system:authenticated', 'system:unauthenticated'],
  'system:service-account-issuer-discovery': ['system:serviceaccounts'],
};

/** Labels by which a default role adds to others: what `view` may, `edit` may, and so on. */
function labelsOf(name: string): Record<string, string> {
  const labels: Record<string, string> = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
  const target = /^system:aggregate-to-(.+)$/.exec(name)?.[1];
  if (target !== undefined) labels[AGGREGATE_LABEL + target] = 'true';
  if (name === 'view') labels[`${AGGREGATE_LABEL}edit`] = 'true';
  if (name === 'edit') labels[`${AGGREGATE_LABEL}admin`] = 'true';
  return labels;
}

function metadata(name: string): {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
} {
  return { name, labels: labelsOf(name), annotations: { [`${GROUP}/autoupdate`]: 'true' } };
}

/** The ClusterRoles that every cluster has, as far as something here relies on them. */
export function defaultClusterRoles(): KubernetesObject[] {
  const plain = Object.entries(ROLES).map(([name, rules]) => ({ metadata: metadata(name), rules }));
  const aggregated = Object.entries(AGGREGATED).map(([name, targets]) => ({
    metadata: metadata(name),
    aggregationRule: {
      clusterRoleSelectors: targets.map((target) => ({
        matchLabels: { [AGGREGATE_LABEL + target]: 'true' },
      })),
    },
    rules: [],
  }));
  return [...plain, ...aggregated];
}

/** Who has them from the start. */
export function defaultClusterRoleBindings(): KubernetesObject[] {
  return Object.entries(BINDINGS).map(([name, groups]) => ({
    metadata: metadata(name),
    roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name },
    subjects: groups.map((group) => ({ apiGroup: GROUP, kind: 'Group', name: group })),
  }));
}
