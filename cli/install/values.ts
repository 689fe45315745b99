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

/** PEM texts that go into the cluster: the anchor's key is never among them. */
export interface TrustMaterial {
  anchors: string[];
  issuerCertificate: string;
  issuerKey: string;
}
