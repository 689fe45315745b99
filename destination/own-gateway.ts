import { component, spiffeId } from '../api/names.ts';
import type { PeerIdentity } from '../workload-identity/index.ts';
import type { DestinationSettings } from './settings.ts';

/** The SPIFFE ID of this cluster's gateway. */
export function ownGatewayId({ trustDomain, clusterName, meshNamespace }: DestinationSettings): string {
  return spiffeId({
    trustDomain,
    clusterId: clusterName,
    namespace: meshNamespace,
    serviceAccount: component.gateway,
  });
}

/** True for this cluster's gateway. */
export function isOwnGateway(peer: PeerIdentity, settings: DestinationSettings): boolean {
  return peer.spiffeId === ownGatewayId(settings);
}
