/** The five default inbound policies by Linkerd's names, and its `audit`: everybody passes, and metrics tell that no rule was there for it. */
export const DEFAULT_INBOUND_POLICIES = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
] as const;

export type DefaultInboundPolicy = (typeof DEFAULT_INBOUND_POLICIES)[number];

/** True for the name of a default policy. */
export function isDefaultInboundPolicy(text: string): text is DefaultInboundPolicy {
  return DEFAULT_INBOUND_POLICIES.some((name) => name === text);
}

/** What the mesh is set to; the same for every target. */
export interface DestinationSettings {
  clusterName: string;
  clusterDomain: string;
  trustDomain: string;
  meshNamespace: string;
  /** For pods whose annotations and namespace name none. */
  defaultInboundPolicy: DefaultInboundPolicy;
  /** Ports that are opaque where no annotation says otherwise. */
  opaquePorts: readonly number[];
  /** CIDRs that count as inside the cluster for the `cluster-*` policies. */
  clusterNetworks: readonly string[];
}
