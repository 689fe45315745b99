import { ipNetwork } from './ip-address.ts';

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

/** Throws an error that names the first of `cidrs` that is no network. */
export function checkNetworks(cidrs: readonly string[]): void {
  for (const cidr of cidrs) ipNetwork(cidr);
}

/** Linkerd's default `clusterNetworks`: the private ranges. */
export const DEFAULT_CLUSTER_NETWORKS: readonly string[] = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fd00::/8',
];
