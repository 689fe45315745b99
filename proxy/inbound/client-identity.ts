import { component, parseSpiffeId } from '../../api/names.ts';
import type { PeerIdentity, WorkloadNames } from '../../workload-identity/index.ts';

/**
 * Who a client is, and whom a sidecar believes (ARCHITECTURE.md 5). Pure rules: everything here decides over trust.
 */

/**
 * The name that apps and policies see: the DNS identity of a workload of the own cluster, the SPIFFE ID of one of
 * another. Linkerd's leaves carry a DNS identity alone. One that is a name of our own mesh counts for nothing there: our
 * issuers always write both, and a DNS identity does not say of which cluster it is.
 */
export function clientName(peer: PeerIdentity, own: WorkloadNames): string {
  const { workload, spiffeId, dnsName } = peer;
  if (workload === undefined || spiffeId === undefined) {
    const ours = `.serviceaccount.identity.${own.meshNamespace}.${own.trustDomain}`;
    return dnsName === undefined || dnsName.endsWith(ours) || !DNS_NAME.test(dnsName) ? '' : dnsName;
  }
  return workload.clusterId === own.clusterId ? (dnsName ?? spiffeId) : spiffeId;
}

/** What else a certificate may hold in a DNS name would be written into a field that apps read. */
const DNS_NAME = /^[a-z0-9._-]{1,253}$/;

/** Only the own cluster's gateway may say whom it speaks for. */
export function isOwnGateway(peer: PeerIdentity, own: WorkloadNames): boolean {
  const { workload } = peer;
  return (
    workload !== undefined &&
    workload.trustDomain === own.trustDomain &&
    workload.clusterId === own.clusterId &&
    workload.namespace === own.meshNamespace &&
    workload.serviceAccount === component.gateway
  );
}

/** A gateway of any cluster of the set. */
export function isGateway(peer: PeerIdentity, own: WorkloadNames): boolean {
  const { workload } = peer;
  return (
    workload !== undefined &&
    workload.trustDomain === own.trustDomain &&
    workload.namespace === own.meshNamespace &&
    workload.serviceAccount === component.gateway
  );
}

/**
 * The client that a peer asserts, when it is believed: said by the own cluster's gateway, of a workload of another
 * cluster. Else undefined, and the peer stands for itself.
 */
export function believedClient(
  asserted: string | undefined,
  peer: PeerIdentity,
  own: WorkloadNames,
): string | undefined {
  if (asserted === undefined || !isOwnGateway(peer, own)) return undefined;
  const workload = parseSpiffeId(asserted);
  if (workload === undefined || workload.trustDomain !== own.trustDomain) return undefined;
  return workload.clusterId === own.clusterId ? undefined : asserted;
}
