import { readFileSync } from 'node:fs';
import * as yaml from 'js-yaml';
import type {
  ConfigMap,
  CustomResourceDefinition,
  KubernetesObject,
  MutatingWebhookConfiguration,
  Namespace,
  Secret,
} from '../../api/kubernetes-types.ts';
import type { TrustBundle } from '../../api/isthmus-types.ts';
import {
  CLUSTER_ID_PROPERTY,
  CLUSTER_SET_PROPERTY,
  component,
  GROUP_VERSION,
  label,
  object,
  port,
} from '../../api/names.ts';
import { labels, meta } from './pod-parts.ts';
import { rbac } from './rbac.ts';
import type { InstallValues, TrustMaterial } from './values.ts';
import { workloads } from './workloads.ts';

const CRD_FILES = ['link.yaml', 'trust-bundle.yaml', 'cluster-property.yaml'];

/** CustomResourceDefinitions that an installation needs: our own, and those of the standards, which are installed only where they are absent. */
export function customResourceDefinitions(): CustomResourceDefinition[] {
  return CRD_FILES.map((file) => {
    const text = readFileSync(new URL(`../../api/crds/${file}`, import.meta.url), 'utf8');
    return yaml.load(text) as CustomResourceDefinition;
  });
}

/** Whether an object belongs to Isthmus alone (and may be deleted by `uninstall`). */
export function isOurs(crd: CustomResourceDefinition): boolean {
  return crd.spec.group === 'isthmus.dev';
}

/** Every object of an installation but the CRDs, in the order in which they are applied. */
export function meshObjects(values: InstallValues, trust: TrustMaterial): KubernetesObject[] {
  return [
    namespace(values),
    ...clusterProperties(values),
    ...trustObjects(values, trust),
    configMap(values),
    ...rbac(values),
    ...workloads(values),
    webhook(values),
  ];
}

function namespace(values: InstallValues): Namespace {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: values.meshNamespace,
      labels: {
        ...labels('isthmus'),
        [label.disableInjection]: 'disabled',
        'pod-security.kubernetes.io/enforce': 'restricted',
      },
    },
  };
}

function clusterProperties(values: InstallValues): KubernetesObject[] {
  const property = (name: string, value: string): KubernetesObject & { spec: { value: string } } => ({
    apiVersion: 'about.k8s.io/v1beta1',
    kind: 'ClusterProperty',
    metadata: { name },
    spec: { value },
  });
  return [
    property(CLUSTER_ID_PROPERTY, values.clusterName),
    property(CLUSTER_SET_PROPERTY, values.trustDomain),
  ];
}

function trustObjects(values: InstallValues, trust: TrustMaterial): KubernetesObject[] {
  const anchors = trust.anchors.join('');
  const roots: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: meta(values, object.trustRootsConfigMap, component.identity),
    data: { [object.trustRootsKey]: anchors },
  };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const issuer: Secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: meta(values, object.issuerSecret, component.identity),
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(trust.issuerCertificate),
      'tls.key': base64(trust.issuerKey),
      'ca.crt': base64(anchors),
    },
  };
  const bundle: TrustBundle = {
    apiVersion: GROUP_VERSION,
    kind: 'TrustBundle',
    metadata: { name: object.trustBundle, labels: labels(component.identity) },
    spec: { anchors: trust.anchors },
  };
  return [roots, issuer, bundle];
}

function configMap(values: InstallValues): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: meta(values, object.configMap, 'isthmus'),
    data: { [object.configKey]: `${JSON.stringify(values, null, 2)}\n` },
  };
}

/** The control plane fills in `caBundle` with the authority of its own webhook certificate and keeps it right. */
function webhook(values: InstallValues): MutatingWebhookConfiguration {
  const outside = (key: string, names: string[]) => ({ key, operator: 'NotIn' as const, values: names });
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: object.injectorWebhook, labels: labels(component.injector) },
    webhooks: [
      {
        name: 'injector.isthmus.dev',
        clientConfig: {
          service: {
            namespace: values.meshNamespace,
            name: component.injector,
            path: '/inject',
            port: port.injector,
          },
        },
        rules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE'],
            resources: ['pods'],
            scope: 'Namespaced',
          },
        ],
        namespaceSelector: {
          matchExpressions: [
            outside(label.disableInjection, ['disabled']),
            outside('kubernetes.io/metadata.name', ['kube-system', values.meshNamespace]),
          ],
        },
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        timeoutSeconds: 10,
        admissionReviewVersions: ['v1'],
        reinvocationPolicy: 'IfNeeded',
      },
    ],
  };
}
