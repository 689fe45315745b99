import {
  DEFAULT_CLUSTER_DOMAIN,
  DEFAULT_MESH_NAMESPACE,
  DEFAULT_TRUST_DOMAIN,
  IMAGE,
} from '../../api/names.ts';
import { DEFAULT_CLUSTER_NETWORKS } from '../../destination/index.ts';

/** How inbound traffic is treated where no policy says otherwise; Linkerd's five. */
export const INBOUND_POLICIES = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-authenticated',
  'cluster-unauthenticated',
  'deny',
] as const;
export type InboundPolicy = (typeof INBOUND_POLICIES)[number];

/** How traffic reaches the sidecar: `redirect`, the pod's connections are turned to it; `explicit`, by the app's proxy environment. */
export const PROXY_MODES = ['redirect', 'explicit'] as const;
export type ProxyMode = (typeof PROXY_MODES)[number];

/** Everything that an installation is made from; kept (without keys) in the ConfigMap `isthmus-config`. */
export interface InstallValues {
  clusterName: string;
  meshNamespace: string;
  clusterDomain: string;
  trustDomain: string;
  image: string;
  proxyMode: ProxyMode;
  defaultInboundPolicy: InboundPolicy;
  gatewayReplicas: number;
  logLevel: string;
  /** CIDRs that the `cluster-*` policies mean. */
  clusterNetworks: readonly string[];
  /** `--adopt-linkerd`: Linkerd's inject annotations count although a Linkerd control plane is there. */
  adoptLinkerd: boolean;
}

/** What a person asks for; the rest comes from the defaults for the kind of cluster. */
export type AskedValues = Pick<InstallValues, 'clusterName'> & Partial<InstallValues>;

/** What the defaults depend on. */
export interface ClusterTraits {
  /** Pods are processes on loopback addresses, and nothing can be redirected. */
  embedded: boolean;
}

/** All values of an installation: what was asked for, over the defaults. */
export function installValues(asked: AskedValues, { embedded }: ClusterTraits): InstallValues {
  return {
    meshNamespace: DEFAULT_MESH_NAMESPACE,
    clusterDomain: DEFAULT_CLUSTER_DOMAIN,
    trustDomain: DEFAULT_TRUST_DOMAIN,
    image: IMAGE,
    proxyMode: embedded ? 'explicit' : 'redirect',
    defaultInboundPolicy: 'all-unauthenticated',
    gatewayReplicas: 1,
    logLevel: 'info',
    clusterNetworks: [...DEFAULT_CLUSTER_NETWORKS, ...(embedded ? ['127.0.0.0/8'] : [])],
    adoptLinkerd: false,
    ...asked,
  };
}

/** PEM texts that go into the cluster: the anchor's key is never among them. */
export interface TrustMaterial {
  anchors: string[];
  issuerCertificate: string;
  issuerKey: string;
}
