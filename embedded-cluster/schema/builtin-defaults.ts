/**
 * Defaults of built-in types that stand in the real server's Go code and not in its OpenAPI. Found by creating minimal objects on a real
 * server and comparing (defaults.test.ts holds what it answered). Keyed by `<package>.<version>.<type>`.
 */

type Fields = Record<string, unknown>;

/** Mode 0644, in decimal as the API shows it. */
const readableFileMode = 420;
const daySeconds = 86_400;

export const fixedDefaults: Readonly<Record<string, Fields>> = {
  'core.v1.PodSpec': {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  },
  'core.v1.Container': {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  },
  'core.v1.EphemeralContainer': {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  },
  'core.v1.ContainerPort': { protocol: 'TCP' },
  'core.v1.Probe': { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
  'core.v1.HTTPGetAction': { path: '/', scheme: 'HTTP' },
  'core.v1.GRPCAction': { service: '' },
  'core.v1.ConfigMapVolumeSource': { defaultMode: readableFileMode },
  'core.v1.SecretVolumeSource': { defaultMode: readableFileMode },
  'core.v1.DownwardAPIVolumeSource': { defaultMode: readableFileMode },
  'core.v1.ProjectedVolumeSource': { defaultMode: readableFileMode },
  'core.v1.HostPathVolumeSource': { type: '' },
  'core.v1.ServiceAccountTokenProjection': { expirationSeconds: 3600 },
  'core.v1.ObjectFieldSelector': { apiVersion: 'v1' },
  'core.v1.ServiceSpec': { type: 'ClusterIP', sessionAffinity: 'None' },
  'core.v1.ServicePort': { protocol: 'TCP' },
  'core.v1.EndpointPort': { protocol: 'TCP' },
  'core.v1.Secret': { type: 'Opaque' },
  'core.v1.NamespaceStatus': { phase: 'Active' },
  'core.v1.PersistentVolumeClaimSpec': { volumeMode: 'Filesystem' },
  'core.v1.PersistentVolumeClaimStatus': { phase: 'Pending' },
  'core.v1.Event': { firstTimestamp: null, lastTimestamp: null, eventTime: null },
  'events.v1.Event': { eventTime: null, deprecatedFirstTimestamp: null, deprecatedLastTimestamp: null },
  'apps.v1.DeploymentSpec': {
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: {},
  },
  'apps.v1.DeploymentStrategy': { type: 'RollingUpdate' },
  'apps.v1.RollingUpdateDeployment': { maxUnavailable: '25%', maxSurge: '25%' },
  'apps.v1.ReplicaSetSpec': { replicas: 1 },
  'apps.v1.StatefulSetSpec': {
    replicas: 1,
    revisionHistoryLimit: 10,
    podManagementPolicy: 'OrderedReady',
    serviceName: '',
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
  },
  'apps.v1.StatefulSetUpdateStrategy': { type: 'RollingUpdate' },
  'apps.v1.DaemonSetSpec': { revisionHistoryLimit: 10 },
  'apps.v1.DaemonSetUpdateStrategy': { type: 'RollingUpdate' },
  'batch.v1.CronJobSpec': {
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  },
  'discovery.v1.EndpointSlice': { endpoints: null, ports: null },
  'discovery.v1.EndpointPort': { name: '', protocol: 'TCP' },
  'rbac.v1.Role': { rules: null },
  'rbac.v1.ClusterRole': { rules: null },
  'rbac.v1.RoleRef': { apiGroup: 'rbac.authorization.k8s.io' },
  'admissionregistration.v1.MutatingWebhook': {
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    objectSelector: {},
    timeoutSeconds: 10,
    reinvocationPolicy: 'Never',
  },
  'admissionregistration.v1.ValidatingWebhook': {
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    objectSelector: {},
    timeoutSeconds: 10,
  },
  'admissionregistration.v1.RuleWithOperations': { scope: '*' },
  'admissionregistration.v1.ServiceReference': { port: 443 },
  'apiextensions.v1.CustomResourceDefinitionSpec': { conversion: { strategy: 'None' } },
  'apiextensions.v1.ServiceReference': { port: 443 },
  'autoscaling.v2.HorizontalPodAutoscalerSpec': { minReplicas: 1 },
  'networking.v1.NetworkPolicyPort': { protocol: 'TCP' },
  'scheduling.v1.PriorityClass': { preemptionPolicy: 'PreemptLowerPriority' },
};

/** Defaults that depend on other fields of the same value. */
export const derivedDefaults: Readonly<Record<string, (value: Fields) => void>> = {
  'core.v1.Pod': defaultPod,
  'core.v1.PodSpec': defaultPodSpec,
  'core.v1.Container': defaultContainer,
  'core.v1.EphemeralContainer': defaultContainer,
  'core.v1.Volume': defaultVolume,
  'core.v1.ResourceRequirements': defaultRequests,
  'core.v1.Service': (service) => defaultService(fields(service['spec'])),
  'core.v1.ServicePort': (port) => {
    const target = port['targetPort'];
    if (target === undefined || target === 0 || target === '') port['targetPort'] = port['port'] ?? 0;
  },
  'core.v1.Secret': defaultSecret,
  'core.v1.Namespace': defaultNamespace,
  'apps.v1.DeploymentStrategy': (strategy) => {
    if (strategy['type'] === 'RollingUpdate') strategy['rollingUpdate'] ??= {};
  },
  'apps.v1.StatefulSetUpdateStrategy': (strategy) => {
    if (strategy['type'] !== 'RollingUpdate') return;
    strategy['rollingUpdate'] ??= {};
    fields(strategy['rollingUpdate'])['partition'] ??= 0;
  },
  'apps.v1.DaemonSetUpdateStrategy': (strategy) => {
    if (strategy['type'] !== 'RollingUpdate') return;
    strategy['rollingUpdate'] ??= {};
    fields(strategy['rollingUpdate'])['maxUnavailable'] ??= 1;
    fields(strategy['rollingUpdate'])['maxSurge'] ??= 0;
  },
  'batch.v1.Job': (job) => defaultJob(fields(job['spec'])),
  'rbac.v1.Subject': (subject) => {
    if (subject['kind'] === 'User' || subject['kind'] === 'Group') {
      subject['apiGroup'] ||= 'rbac.authorization.k8s.io';
    }
  },
  'networking.v1.NetworkPolicySpec': (spec) => {
    spec['policyTypes'] ??= list(spec['egress']).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  'apiextensions.v1.CustomResourceDefinitionSpec': (spec) => {
    const names = fields(spec['names']);
    if (typeof names['kind'] !== 'string' || names['kind'] === '') return;
    names['singular'] ||= names['kind'].toLowerCase();
    names['listKind'] ||= `${names['kind']}List`;
  },
};

function defaultPod(pod: Fields): void {
  const spec = fields(pod['spec']);
  spec['enableServiceLinks'] ??= true;
  const status = fields(pod['status']);
  status['phase'] ??= 'Pending';
  status['qosClass'] ??= qualityOfService(spec);
}

function defaultPodSpec(spec: Fields): void {
  if (spec['serviceAccountName'] === undefined && spec['serviceAccount'] !== undefined) {
    spec['serviceAccountName'] = spec['serviceAccount'];
  }
  if (spec['serviceAccountName'] !== undefined) spec['serviceAccount'] = spec['serviceAccountName'];
  if (spec['hostNetwork'] !== true) return;
  for (const container of [...list(spec['initContainers']), ...list(spec['containers'])]) {
    for (const port of list(container['ports'])) port['hostPort'] ??= port['containerPort'];
  }
}

function defaultContainer(container: Fields): void {
  if (container['imagePullPolicy'] !== undefined) return;
  const image = typeof container['image'] === 'string' ? container['image'] : '';
  const name = image.slice(image.lastIndexOf('/') + 1);
  const tag = name.includes('@') ? 'digest' : (name.split(':')[1] ?? 'latest');
  container['imagePullPolicy'] = tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultVolume(volume: Fields): void {
  const sources = Object.keys(volume).filter((key) => key !== 'name');
  if (sources.length === 0) volume['emptyDir'] = {};
}

function defaultRequests(resources: Fields): void {
  const limits = resources['limits'];
  if (limits === undefined) return;
  resources['requests'] = { ...fields(limits), ...fields(resources['requests']) };
}

function isFilledList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function defaultService(spec: Fields): void {
  if (spec['sessionAffinity'] === 'ClientIP') {
    spec['sessionAffinityConfig'] ??= { clientIP: { timeoutSeconds: daySeconds / 8 } };
  } else if ((spec['sessionAffinity'] ?? 'None') === 'None') {
    delete spec['sessionAffinityConfig'];
  }
  const type = spec['type'];
  if (type === 'ExternalName') return;
  spec['internalTrafficPolicy'] ??= 'Cluster';
  const isExternal = type === 'NodePort' || type === 'LoadBalancer' || isFilledList(spec['externalIPs']);
  if (isExternal) spec['externalTrafficPolicy'] ??= 'Cluster';
  if (type === 'LoadBalancer') spec['allocateLoadBalancerNodePorts'] ??= true;
}

/** Of a Job only: a CronJob's template keeps what its author wrote. */
function defaultJob(spec: Fields): void {
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  spec['parallelism'] ??= 1;
  spec['backoffLimit'] ??= 6;
  spec['manualSelector'] ??= false;
  spec['completionMode'] ??= 'NonIndexed';
  spec['suspend'] ??= false;
  spec['podReplacementPolicy'] ??= 'TerminatingOrFailed';
}

/** `stringData` is write-only: it ends up in `data`. */
function defaultSecret(secret: Fields): void {
  const plain = secret['stringData'];
  if (plain === undefined) return;
  delete secret['stringData'];
  const data = { ...fields(secret['data']) };
  for (const [key, value] of Object.entries(fields(plain))) {
    data[key] = Buffer.from(String(value)).toString('base64');
  }
  secret['data'] = data;
}

function defaultNamespace(namespace: Fields): void {
  const metadata = fields(namespace['metadata']);
  if (typeof metadata['name'] !== 'string') return;
  metadata['labels'] = { ...fields(metadata['labels']), 'kubernetes.io/metadata.name': metadata['name'] };
}

/** Guaranteed, Burstable or BestEffort, from cpu and memory of all containers. */
function qualityOfService(spec: Fields): string {
  const containers = [...list(spec['initContainers']), ...list(spec['containers'])];
  let guaranteed = containers.length > 0;
  let any = false;
  for (const container of containers) {
    const resources = fields(container['resources']);
    const limits = fields(resources['limits']);
    const requests = { ...limits, ...fields(resources['requests']) };
    for (const name of ['cpu', 'memory']) {
      if (requests[name] !== undefined) any = true;
      if (limits[name] === undefined || limits[name] !== requests[name]) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}
