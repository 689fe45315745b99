import { readFileSync } from 'node:fs';
import * as yaml from 'js-yaml';
import type {
  ConfigMap,
  CustomResourceDefinition,
  KubernetesObject,
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
} from '../../api/names.ts';
import { labels, meta } from './pod-parts.ts';
import { rbac } from './rbac.ts';
import type { AskedValues, InstallValues, TrustMaterial } from './values.ts';
import { webhook } from './webhook.ts';
import { workloads } from './workloads.ts';

const CRD_FILES = [
  'link.yaml',
  'trust-bundle.yaml',
  'cluster-property.yaml',
  'server.yaml',
  'server-authorization.yaml',
  'authorization-policy.yaml',
  'mesh-tls-authentication.yaml',
  'network-authentication.yaml',
  'http-local-rate-limit-policy.yaml',
  'policy-http-route.yaml',
  'http-route.yaml',
  'grpc-route.yaml',
  'service-profile.yaml',
];

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

/** What an installation is made from. */
export interface Installation {
  values: InstallValues;
  /** What of the values was asked for: an upgrade keeps it, and takes its own defaults for the rest. */
  asked: AskedValues;
  trust: TrustMaterial;
}

/** Every object of an installation but the CRDs, in the order in which they are applied. */
export function meshObjects({ values, asked, trust }: Installation): KubernetesObject[] {
  return [
    namespace(values),
    ...clusterProperties(values),
    ...trustObjects(values, trust),
    configMap(values, asked),
    ...rbac(values),
    ...workloads(values),
    webhook(values),
  ].map((o) => marked(o, values.meshNamespace));
}

/** The webhook as an installation has it. */
export function webhookOf(values: InstallValues): KubernetesObject {
  return marked(webhook(values), values.meshNamespace);
}

/** With the mark that says which installation made it. */
function marked(o: KubernetesObject, meshNamespace: string): KubernetesObject {
  const metadata = { ...o.metadata, labels: { ...o.metadata?.labels, [label.installation]: meshNamespace } };
  return { ...o, metadata };
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

function configMap(values: InstallValues, asked: AskedValues): ConfigMap {
  const json = (what: object): string => `${JSON.stringify(what, null, 2)}\n`;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: meta(values, object.configMap, 'isthmus'),
    data: { [object.configKey]: json(values), [object.askedKey]: json(asked) },
  };
}
