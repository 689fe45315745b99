import {
  DEFAULT_CLUSTER_DOMAIN,
  DEFAULT_MESH_NAMESPACE,
  DEFAULT_TRUST_DOMAIN,
  IMAGE,
} from '../../api/names.ts';
import { DEFAULT_CLUSTER_NETWORKS } from '../../api/cluster-networks.ts';
import type { DefaultInboundPolicy } from '../../api/default-policies.ts';

/** How traffic reaches the sidecar: `redirect`, the pod's connections are turned to it; `explicit`, by the app's proxy environment. */
export const PROXY_MODES = ['redirect', 'explicit'] as const;
export type ProxyMode = (typeof PROXY_MODES)[number];

/** Of our processes' levels those that are of use for a whole mesh. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Linkerd's two formats. */
export const ACCESS_LOG_FORMATS = ['none', 'json', 'apache'] as const;
export type AccessLogFormat = (typeof ACCESS_LOG_FORMATS)[number];

/** `NodePort` is for clusters without load balancers: the gateway is then reached at the nodes. */
export const GATEWAY_SERVICE_TYPES = ['LoadBalancer', 'NodePort', 'ClusterIP'] as const;
export type GatewayServiceType = (typeof GATEWAY_SERVICE_TYPES)[number];

/** `Ignore`: pods start without sidecar while the webhook is away. `Fail`: they do not start. */
export const FAILURE_POLICIES = ['Ignore', 'Fail'] as const;
export type FailurePolicy = (typeof FAILURE_POLICIES)[number];

/** Whether replicas may share a node: `preferred` avoids it, `required` forbids it. */
export const ANTI_AFFINITIES = ['preferred', 'required'] as const;
export type AntiAffinity = (typeof ANTI_AFFINITIES)[number];

/** Kubernetes quantities; a limit that is absent is none. */
export interface ResourceValues {
  requests: { cpu: string; memory: string };
  limits: { cpu?: string; memory?: string };
}

/** What is chosen for each component of the mesh. */
export interface ComponentValues {
  replicas: number;
  resources: ResourceValues;
}

/** Everything that an installation is made from; kept (without keys) in the ConfigMap `isthmus-config`. */
export interface InstallValues {
  clusterName: string;
  meshNamespace: string;
  clusterDomain: string;
  trustDomain: string;
  image: string;
  imagePullPolicy: string;
  proxyMode: ProxyMode;
  defaultInboundPolicy: DefaultInboundPolicy;
  logLevel: LogLevel;
  /** CIDRs that the `cluster-*` policies mean. */
  clusterNetworks: readonly string[];
  /** Linkerd's inject annotations count although a Linkerd control plane is there. */
  adoptLinkerd: boolean;
  /** Changes the defaults of replicas, spreading, disruption budgets, resources and the webhook's failure policy. */
  highAvailability: boolean;
  podAntiAffinity: AntiAffinity;
  priorityClassName?: string;
  controlPlane: ComponentValues;
  mirrorController: ComponentValues;
  gateway: ComponentValues & { serviceType: GatewayServiceType };
  proxy: { logLevel: LogLevel; accessLog: AccessLogFormat; resources: ResourceValues };
  /** Of sidecars and gateways. */
  tracing: { collector?: string; collectorIdentity?: string; sampling: string };
  webhook: { failurePolicy: FailurePolicy; timeoutSeconds: number };
}

type Leaf = string | number | boolean | readonly string[];
type PathsOf<T> = {
  [K in keyof T & string]-?: NonNullable<T[K]> extends Leaf ? K : `${K}.${PathsOf<NonNullable<T[K]>>}`;
}[keyof T & string];
type ValueAt<T, P extends string> = P extends `${infer K}.${infer Rest}`
  ? K extends keyof T
    ? ValueAt<NonNullable<T[K]>, Rest>
    : never
  : P extends keyof T
    ? NonNullable<T[P]>
    : never;

/** A value's name, as `--set` takes it: `gateway.resources.limits.memory`. */
export type ValuePath = PathsOf<InstallValues>;
export type ValueOf<P extends ValuePath> = ValueAt<InstallValues, P>;

/** What a person asks for, by path; the rest comes from the defaults for the kind of cluster, also those of a later version. */
export type AskedValues = { clusterName: string } & { [P in ValuePath]?: ValueOf<P> };

/** What the defaults depend on beside the values themselves. */
export interface ClusterTraits {
  /** Pods are processes on loopback addresses, and nothing can be redirected. */
  embedded: boolean;
}

/** All values of an installation: what was asked for, over the defaults. */
export function installValues(asked: AskedValues, traits: ClusterTraits): InstallValues {
  const values = defaults(asked.clusterName, asked.highAvailability ?? false, traits);
  for (const [path, value] of Object.entries(asked)) setAt(values, path.split('.'), value);
  return values;
}

function setAt(tree: object, [key = '', ...rest]: readonly string[], value: unknown): void {
  const branch = tree as Record<string, unknown>;
  if (rest.length === 0) branch[key] = value;
  else setAt(branch[key] as object, rest, value);
}

function defaults(
  clusterName: string,
  highAvailability: boolean,
  { embedded }: ClusterTraits,
): InstallValues {
  // No limits: what ends a component that has grown with its cluster is an outage of our own making. They can be asked for.
  const resources = (cpu: string, memory: string): ResourceValues => ({
    requests: { cpu, memory },
    limits: {},
  });
  const component = (memory: string): ComponentValues => ({
    replicas: highAvailability ? 3 : 1,
    resources: resources(highAvailability ? '100m' : '50m', memory),
  });
  return {
    clusterName,
    meshNamespace: DEFAULT_MESH_NAMESPACE,
    clusterDomain: DEFAULT_CLUSTER_DOMAIN,
    trustDomain: DEFAULT_TRUST_DOMAIN,
    image: IMAGE,
    imagePullPolicy: 'IfNotPresent',
    proxyMode: embedded ? 'explicit' : 'redirect',
    defaultInboundPolicy: 'all-unauthenticated',
    logLevel: 'info',
    clusterNetworks: [...DEFAULT_CLUSTER_NETWORKS, ...(embedded ? ['127.0.0.0/8'] : [])],
    adoptLinkerd: false,
    highAvailability,
    podAntiAffinity: highAvailability ? 'required' : 'preferred',
    controlPlane: component('96Mi'),
    mirrorController: component('96Mi'),
    gateway: { ...component('64Mi'), serviceType: 'LoadBalancer' },
    proxy: {
      logLevel: 'info',
      accessLog: 'none',
      resources: resources(highAvailability ? '100m' : '10m', '64Mi'),
    },
    tracing: { sampling: '0.01' },
    webhook: { failurePolicy: highAvailability ? 'Fail' : 'Ignore', timeoutSeconds: 10 },
  };
}

/** PEM texts that go into the cluster: the anchor's key is never among them. */
export interface TrustMaterial {
  anchors: string[];
  issuerCertificate: string;
  issuerKey: string;
}
