import { dnsIdentity, spiffeId } from '../../api/names.ts';
import type { PeerIdentity, WorkloadNames } from '../types.ts';

/** Who a verified certificate of this workload would show. @param notAfter ms */
export function peerIdentity(of: WorkloadNames, notAfter = 0): PeerIdentity & { readonly spiffeId: string } {
  return { dnsName: dnsIdentity(of), spiffeId: spiffeId(of), workload: of, fingerprint: '00', notAfter };
}
