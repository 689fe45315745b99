/** Objects that are created on a real server (dry run) by record.ts, and on ours by recorded.test.ts. */
export interface RecordedCase {
  /** Group, version, resource as in a URL. */
  group: string;
  version: string;
  resource: string;
  /** Absent for kinds without a namespace. */
  namespace?: string;
  body: Record<string, unknown>;
}

const template = {
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'registry:5000/x' }] },
};
const selector = { matchLabels: { app: 'web' } };

function core(resource: string, body: Record<string, unknown>): RecordedCase {
  return { group: '', version: 'v1', resource, namespace: 'default', body: named(body) };
}

function inGroup(group: string, resource: string, body: Record<string, unknown>): RecordedCase {
  return { group, version: 'v1', resource, namespace: 'default', body: named(body) };
}

function clusterWide(group: string, resource: string, body: Record<string, unknown>): RecordedCase {
  return { group, version: 'v1', resource, body: named(body) };
}

function named(body: Record<string, unknown>): Record<string, unknown> {
  return { metadata: { name: 'recorded' }, ...body };
}

function pod(spec: Record<string, unknown>, metadata: Record<string, unknown> = {}): RecordedCase {
  return core('pods', {
    metadata: { name: 'recorded', ...metadata },
    spec: { automountServiceAccountToken: false, ...spec },
  });
}

function deployment(spec: Record<string, unknown>): RecordedCase {
  return inGroup('apps', 'deployments', { spec });
}

function customResource(versions: unknown[], names: Record<string, unknown> = {}): RecordedCase {
  return clusterWide('apiextensions.k8s.io', 'customresourcedefinitions', {
    metadata: { name: 'widgets.example.dev' },
    spec: {
      group: 'example.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', ...names },
      versions,
    },
  });
}

const fullPod = pod({
  volumes: [
    { name: 'config', configMap: { name: 'x' } },
    { name: 'secret', secret: { secretName: 'x' } },
    {
      name: 'projected',
      projected: {
        sources: [
          { serviceAccountToken: { path: 't' } },
          { downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name' } }] } },
        ],
      },
    },
    { name: 'downward', downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name' } }] } },
    { name: 'empty' },
    { name: 'host', hostPath: { path: '/x' } },
  ],
  initContainers: [{ name: 'sidecar', image: 'a:latest', restartPolicy: 'Always' }],
  containers: [
    {
      name: 'c',
      image: 'x:1',
      ports: [{ containerPort: 1 }],
      env: [{ name: 'a', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }, { name: 'b' }],
      readinessProbe: { httpGet: { port: 1 } },
      livenessProbe: { grpc: { port: 1 } },
      lifecycle: { preStop: { httpGet: { port: 1 } } },
      resources: { limits: { cpu: '1', memory: '0.5Gi' }, requests: { cpu: '0.10' } },
      volumeMounts: [{ name: 'config', mountPath: '/etc/config' }],
    },
    { name: 'd', image: 'y@sha256:0123456789012345678901234567890123456789012345678901234567890123' },
  ],
});

const wrongPod = pod({
  restartPolicy: 'Foo',
  dnsPolicy: 'x',
  terminationGracePeriodSeconds: -1,
  volumes: [{ name: 'v' }, { name: 'v', emptyDir: {}, configMap: {} }, { name: 'A' }],
  containers: [
    {
      name: 'x',
      imagePullPolicy: 'q',
      ports: [{ containerPort: 0, protocol: 'X', name: 'A_' }, { containerPort: 99_999 }],
      env: [
        { name: '1 a=' },
        { name: '' },
        { name: 'z', value: 'a', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } },
      ],
      volumeMounts: [{ name: 'nope', mountPath: '' }],
      readinessProbe: { periodSeconds: -1 },
      livenessProbe: { successThreshold: 3, httpGet: { port: '', scheme: 'X' }, exec: {} },
    },
    { name: 'x', image: 'a' },
  ],
});

const wrongWebhooks = [
  { name: 'ab', clientConfig: {} },
  {
    name: 'a.b.c',
    admissionReviewVersions: ['v2'],
    sideEffects: 'Some',
    timeoutSeconds: 50,
    failurePolicy: 'X',
    clientConfig: { url: 'http://x', service: { name: '', namespace: '' } },
    rules: [
      { operations: ['X'] },
      { operations: ['*', 'CREATE'], apiGroups: ['*', 'a'], apiVersions: ['*'], resources: ['*/*', 'a'] },
    ],
  },
];

export const cases: Readonly<Record<string, RecordedCase>> = {
  'pod: all defaults': fullPod,
  'pod: host network': pod({
    hostNetwork: true,
    containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 80 }] }],
  }),
  'pod: guaranteed': pod({
    containers: [{ name: 'c', image: 'x', resources: { limits: { cpu: '1', memory: '1Gi' } } }],
  }),
  'pod: many mistakes': wrongPod,
  'pod: names and labels': pod(
    { containers: [] },
    { name: 'A_b', labels: { 'a b': 'c d' }, annotations: { 'x y': 'z' } },
  ),
  'pod: resources and init containers': pod({
    initContainers: [{ name: 'i', image: 'b', readinessProbe: { exec: { command: ['a'] } } }],
    containers: [
      {
        name: 'x',
        image: 'a',
        resources: { limits: { cpu: '1' }, requests: { cpu: '2' } },
      },
    ],
  }),
  'pod: volumes': pod({
    containers: [{ name: 'x', image: 'a' }],
    volumes: [
      { name: 'v', configMap: {} },
      { name: 'w', secret: {} },
      { name: 'h', hostPath: { path: '' } },
      { name: 'z', projected: { sources: [{ serviceAccountToken: { expirationSeconds: 5, path: 't' } }] } },
      {
        name: 'd',
        configMap: {
          name: 'x',
          defaultMode: 9999,
          items: [
            { key: '', path: '/abs' },
            { key: 'a', path: '../x' },
          ],
        },
      },
    ],
  }),
  'pod: wrong type of a port': pod({ containers: [{ name: 'x', ports: [{ containerPort: '5' }] }] }),
  'pod: wrong type of a label': pod({ containers: [] }, { labels: { a: 5 } }),
  'pod: containers is an object': pod({ containers: { a: 5 } }),
  'pod: a container is a string': pod({ containers: ['a'] }),
  'pod: a fraction of a second': pod({ terminationGracePeriodSeconds: 1.5, containers: [] }),
  'pod: no time': pod({ containers: [] }, { creationTimestamp: 'yesterday' }),
  'pod: no quantity': pod({ containers: [{ name: 'x', resources: { limits: { cpu: 'foo' } } }] }),
  'pod: spec is a string': core('pods', { spec: 'x' }),
  'deployment: defaults': deployment({ selector, template }),
  'deployment: recreate': deployment({ selector, template, strategy: { type: 'Recreate' } }),
  'deployment: nothing fits': deployment({
    replicas: -1,
    strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } },
    template: { metadata: template.metadata, spec: { ...template.spec, restartPolicy: 'Never' } },
  }),
  'deployment: unknown strategy': deployment({
    selector: { matchLabels: { app: 'other' } },
    template,
    strategy: { type: 'Foo' },
  }),
  'deployment: rolling update of nothing': deployment({
    selector,
    template,
    strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } },
  }),
  'deployment: selector syntax': deployment({
    selector: {
      matchLabels: { 'a b': 'c d' },
      matchExpressions: [
        { key: 'a', operator: 'Foo' },
        { key: 'a', operator: 'In' },
        { key: 'a', operator: 'Exists', values: ['x'] },
      ],
    },
    template,
  }),
  'deployment: empty selector': deployment({ selector: {}, template }),
  'deployment: numbers': deployment({
    selector,
    template,
    minReadySeconds: -1,
    progressDeadlineSeconds: 0,
    revisionHistoryLimit: -1,
    strategy: { rollingUpdate: { maxSurge: 'x', maxUnavailable: '150%' } },
  }),
  'deployment: replicas is a string': deployment({ replicas: 'x' }),
  'replica set: defaults': inGroup('apps', 'replicasets', { spec: { selector, template } }),
  'replica set: no selector': inGroup('apps', 'replicasets', { spec: { template } }),
  'stateful set: defaults': inGroup('apps', 'statefulsets', { spec: { selector, template } }),
  'daemon set: defaults': inGroup('apps', 'daemonsets', { spec: { selector, template } }),
  'job: defaults': inGroup('batch', 'jobs', {
    spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } },
  }),
  'job: wrong restart policy': inGroup('batch', 'jobs', {
    spec: { parallelism: -1, template: { spec: template.spec } },
  }),
  'cron job: defaults': inGroup('batch', 'cronjobs', {
    spec: {
      schedule: '* * * * *',
      jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } },
    },
  }),
  'service: defaults': core('services', { spec: { ports: [{ port: 80 }] } }),
  'service: load balancer with affinity': core('services', {
    spec: { type: 'LoadBalancer', sessionAffinity: 'ClientIP', ports: [{ port: 80, targetPort: 'http' }] },
  }),
  'service: headless': core('services', { spec: { clusterIP: 'None', selector: { a: 'b' } } }),
  'service: external name': core('services', { spec: { type: 'ExternalName', externalName: 'a.b' } }),
  'service: many mistakes': core('services', {
    metadata: { name: '1a' },
    spec: {
      type: 'Foo',
      sessionAffinity: 'x',
      ports: [
        { port: 80 },
        { port: 80, name: 'b' },
        { port: 0, name: 'b', protocol: 'Z' },
        { port: 1, name: 'A', targetPort: 'BAD_NAME' },
      ],
    },
  }),
  'service: no ports': core('services', { spec: {} }),
  'service: bad external name': core('services', {
    spec: { type: 'ExternalName', externalName: 'A_', clusterIP: '10.96.0.9' },
  }),
  'service: no address': core('services', { spec: { clusterIP: 'foo', ports: [{ port: 80 }] } }),
  'service: target port is an object': core('services', { spec: { ports: [{ port: 80, targetPort: {} }] } }),
  'config map: empty': core('configmaps', {}),
  'config map: keys': core('configmaps', { data: { 'a b': 'c', d: 'x' }, binaryData: { d: 'YQ==' } }),
  'config map: a number': core('configmaps', { data: { a: 1 } }),
  'secret: string data': core('secrets', { stringData: { a: 'b' } }),
  'secret: tls without a pair': core('secrets', { type: 'kubernetes.io/tls', data: { a: 'YQ==' } }),
  'secret: token without account': core('secrets', { type: 'kubernetes.io/service-account-token' }),
  'secret: basic auth': core('secrets', { type: 'kubernetes.io/basic-auth' }),
  'secret: no base64': core('secrets', { data: { a: '%%' } }),
  'service account: defaults': core('serviceaccounts', {}),
  'namespace: defaults': clusterWide('', 'namespaces', {}),
  'namespace: dots': clusterWide('', 'namespaces', { metadata: { name: 'a.b' } }),
  'node: defaults': clusterWide('', 'nodes', {}),
  'event: defaults': core('events', { involvedObject: { namespace: 'default', kind: 'Pod', name: 'x' } }),
  'endpoints: defaults': core('endpoints', {
    subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 1 }] }],
  }),
  'endpoint slice: defaults': inGroup('discovery.k8s.io', 'endpointslices', {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ports: [{ port: 5 }],
  }),
  'endpoint slice: empty': inGroup('discovery.k8s.io', 'endpointslices', { addressType: 'IPv4' }),
  'endpoint slice: no type': inGroup('discovery.k8s.io', 'endpointslices', { endpoints: [] }),
  'endpoint slice: mistakes': inGroup('discovery.k8s.io', 'endpointslices', {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['foo', '169.254.1.1'], nodeName: 'B_' }, { addresses: [] }],
    ports: [
      { name: 'A_', protocol: 'Z' },
      { name: 'b', port: 5 },
      { name: 'b', port: 6 },
    ],
  }),
  'lease: defaults': inGroup('coordination.k8s.io', 'leases', {}),
  'lease: times': inGroup('coordination.k8s.io', 'leases', {
    spec: { holderIdentity: 'me', renewTime: '2026-01-02T03:04:05.678Z', leaseDurationSeconds: 15 },
  }),
  'lease: microseconds': inGroup('coordination.k8s.io', 'leases', {
    spec: { renewTime: '2026-01-02T03:04:05.678901+01:00' },
  }),
  'lease: numbers': inGroup('coordination.k8s.io', 'leases', {
    spec: { leaseDurationSeconds: 0, leaseTransitions: -1 },
  }),
  'role: empty': inGroup('rbac.authorization.k8s.io', 'roles', {}),
  'role: mistakes': inGroup('rbac.authorization.k8s.io', 'roles', {
    metadata: { name: 'e/v' },
    rules: [
      { verbs: [] },
      { verbs: ['get'], apiGroups: [''] },
      { verbs: ['get'], resources: ['a'] },
      { verbs: ['get'], nonResourceURLs: ['/x'] },
    ],
  }),
  'cluster role: both sorts of rules': clusterWide('rbac.authorization.k8s.io', 'clusterroles', {
    rules: [{ verbs: ['get'], nonResourceURLs: ['/x'], resources: ['a'], apiGroups: [''] }],
  }),
  'role binding: defaults': inGroup('rbac.authorization.k8s.io', 'rolebindings', {
    roleRef: { kind: 'Role', name: 'x' },
    subjects: [
      { kind: 'ServiceAccount', name: 'a', namespace: 'd' },
      { kind: 'User', name: 'u' },
    ],
  }),
  'role binding: mistakes': inGroup('rbac.authorization.k8s.io', 'rolebindings', {
    roleRef: { kind: 'Foo', name: '' },
    subjects: [
      { kind: 'X', name: '' },
      { kind: 'ServiceAccount', name: 'a', namespace: 'd', apiGroup: 'x' },
      { kind: 'User', apiGroup: 'q', name: '' },
    ],
  }),
  'webhook: defaults': clusterWide('admissionregistration.k8s.io', 'mutatingwebhookconfigurations', {
    webhooks: [
      {
        name: 'a.b.c',
        clientConfig: { service: { name: 'a', namespace: 'b' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
      },
    ],
  }),
  'webhook: mistakes': clusterWide('admissionregistration.k8s.io', 'mutatingwebhookconfigurations', {
    webhooks: wrongWebhooks,
  }),
  'custom resource definition: defaults': customResource([
    { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
  ]),
  'custom resource definition: schema mistakes': customResource([
    {
      name: 'v1',
      served: true,
      storage: true,
      schema: { openAPIV3Schema: { type: 'object', properties: { c: { type: 'array' }, d: {} } } },
    },
  ]),
  'custom resource definition: kind': customResource(
    [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    { kind: 'Wid_get', singular: 'widget', listKind: 'WidgetList' },
  ),
  'disruption budget: defaults': inGroup('policy', 'poddisruptionbudgets', { spec: { minAvailable: 1 } }),
  'network policy: defaults': inGroup('networking.k8s.io', 'networkpolicies', {
    spec: { podSelector: {}, ingress: [{ ports: [{ port: 1 }] }] },
  }),
  'priority class: defaults': clusterWide('scheduling.k8s.io', 'priorityclasses', { value: 5 }),
};
