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

/** How traffic reaches the sidecar: by the app's proxy environment. */
export const PROXY_MODES = ['explicit'] as const;
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

/** The values of a plain installation. */
export function defaultValues(clusterName: string, overrides: Partial<InstallValues> = {}): InstallValues {
  return {
    clusterName,
    meshNamespace: DEFAULT_MESH_NAMESPACE,
    clusterDomain: DEFAULT_CLUSTER_DOMAIN,
    trustDomain: DEFAULT_TRUST_DOMAIN,
    image: IMAGE,
    proxyMode: 'explicit',
    defaultInboundPolicy: 'all-unauthenticated',
    gatewayReplicas: 1,
    logLevel: 'info',
    // Pods of an embedded cluster have loopback addresses; elsewhere nothing comes from there.
    clusterNetworks: [...DEFAULT_CLUSTER_NETWORKS, '127.0.0.0/8'],
    adoptLinkerd: false,
    ...overrides,
  };
}

/** PEM texts that go into the cluster: the anchor's key is never among them. */
export interface TrustMaterial {
  anchors: string[];
  issuerCertificate: string;
  issuerKey: string;
}
