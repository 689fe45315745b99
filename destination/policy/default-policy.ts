import type { MessageInitShape } from '@bufbuild/protobuf';

import type { DefaultInboundPolicy } from '../../api/default-policies.ts';
import type { AuthzSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { defaultMetadata } from '../metadata.ts';
import type { DestinationSettings } from '../settings.ts';
import { EVERYWHERE, networksOf } from './networks.ts';

export type AuthzInit = MessageInitShape<typeof AuthzSchema>;

/** Whom each default policy lets in; `deny` nobody. */
const ADMITTED: Record<
  DefaultInboundPolicy,
  { from: 'anywhere' | 'cluster'; clients: 'anyone' | 'meshed' } | undefined
> = {
  'all-unauthenticated': { from: 'anywhere', clients: 'anyone' },
  'all-authenticated': { from: 'anywhere', clients: 'meshed' },
  'cluster-unauthenticated': { from: 'cluster', clients: 'anyone' },
  'cluster-authenticated': { from: 'cluster', clients: 'meshed' },
  deny: undefined,
  audit: { from: 'anywhere', clients: 'anyone' },
};

/** Whom a default policy lets in, by authorizations of its name; none for `deny`. */
export function defaultAuthorizations(
  policy: DefaultInboundPolicy,
  settings: DestinationSettings,
): AuthzInit[] {
  const admitted = ADMITTED[policy];
  if (admitted === undefined) return [];
  const networks = admitted.from === 'anywhere' ? EVERYWHERE : settings.clusterNetworks;
  return [defaultAuthorization(policy, networks, admitted.clients)];
}

/** An authorization that no object stands behind. */
export function defaultAuthorization(
  name: string,
  networks: readonly string[],
  clients: 'anyone' | 'meshed',
): AuthzInit {
  return {
    networks: networksOf(networks),
    // A suffix without parts fits every mesh identity.
    authentication:
      clients === 'anyone'
        ? { permit: { case: 'unauthenticated', value: {} } }
        : {
            permit: {
              case: 'meshTLS',
              value: { clients: { case: 'identities', value: { suffixes: [{ parts: [] }] } } },
            },
          },
    labels: defaultLabels(name),
    metadata: defaultMetadata(name),
  };
}

/** Labels of metrics for what no object stands behind. */
export function defaultLabels(name: string): Record<string, string> {
  return { group: '', kind: 'default', name };
}
