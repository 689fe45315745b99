import type {
  EndpointSlice,
  KubernetesObject,
  MutatingWebhookConfiguration,
  Service,
} from '../../api/kubernetes-types.ts';

const labels = { 'linkerd.io/control-plane-ns': 'linkerd', 'app.kubernetes.io/part-of': 'Linkerd' };

/**
 * What a cluster with Linkerd and its multicluster extension holds, as far as our mesh could take it for its own:
 * control plane objects, webhook, CRDs, a mirror of its service mirror, annotated workloads. In the order in which they
 * can be made.
 */
export function linkerdObjects(): KubernetesObject[] {
  const inNamespace = (
    kind: string,
    namespace: string,
    name: string,
    rest: object = {},
  ): KubernetesObject => ({
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace, labels },
    ...rest,
  });
  const mirror = {
    name: 'web-west',
    namespace: 'linkerd-app',
    labels: {
      'mirror.linkerd.io/mirrored-service': 'true',
      'mirror.linkerd.io/cluster-name': 'west',
      'app.kubernetes.io/managed-by': 'linkerd-service-mirror',
    },
    annotations: { 'mirror.linkerd.io/remote-svc-fq-name': 'web.linkerd-app.svc.cluster.local' },
  };
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: mirror,
    spec: { ports: [{ port: 80 }] },
  };
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...mirror,
      labels: {
        ...mirror.labels,
        'kubernetes.io/service-name': 'web-west',
        'endpointslice.kubernetes.io/managed-by': 'linkerd-service-mirror',
      },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['198.18.0.9'] }],
    ports: [{ port: 4143 }],
  };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'linkerd', labels } },
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: 'linkerd-app',
        annotations: { 'linkerd.io/inject': 'enabled', 'config.linkerd.io/proxy-log-level': 'warn' },
      },
    },
    inNamespace('ConfigMap', 'linkerd', 'linkerd-config', {
      data: { values: 'clusterDomain: cluster.local' },
    }),
    inNamespace('ConfigMap', 'linkerd', 'linkerd-identity-trust-roots', {
      data: { 'ca-bundle.crt': 'anchor' },
    }),
    inNamespace('Secret', 'linkerd', 'linkerd-identity-issuer', { data: { 'crt.pem': 'Y3J0' } }),
    definition('servers', 'Server', 'policy.linkerd.io'),
    definition('serviceprofiles', 'ServiceProfile', 'linkerd.io'),
    definition('links', 'Link', 'multicluster.linkerd.io'),
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'linkerd-linkerd-identity', labels },
    },
    linkerdWebhook(),
    service,
    slice,
  ];
}

/** Linkerd's own webhook, which shows that its control plane is here. It selects no namespace: nobody answers it. */
export function linkerdWebhook(): MutatingWebhookConfiguration {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'linkerd-proxy-injector-webhook-config', labels },
    webhooks: [
      {
        name: 'linkerd-proxy-injector.linkerd.io',
        clientConfig: { service: { namespace: 'linkerd', name: 'linkerd-proxy-injector', path: '/' } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        namespaceSelector: { matchLabels: { 'nobody-answers': 'true' } },
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  };
}

function definition(plural: string, kind: string, group: string): KubernetesObject {
  const definition: KubernetesObject & { spec: object } = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [
        { name: 'v1alpha1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
      ],
    },
  };
  return definition;
}
