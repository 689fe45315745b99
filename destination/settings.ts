import type { DefaultInboundPolicy } from '../api/default-policies.ts';

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
