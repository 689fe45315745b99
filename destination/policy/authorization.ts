import type { MessageInitShape } from '@bufbuild/protobuf';

import type { AuthnSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import {
  type AuthorizationPolicy,
  type MeshTlsAuthentication,
  POLICY_GROUP,
  type ObjectRef,
} from '../../api/policy-types.ts';
import { GATEWAY_GROUP } from '../../api/route-types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import type { DestinationSettings } from '../settings.ts';
import type { AuthzInit } from './default-policy.ts';
import {
  type ClientIdentities,
  isKind,
  joined,
  readIdentities,
  readIdentityRefs,
  refText,
  serviceAccountIdentity,
} from './identities.ts';
import { EVERYWHERE, type NetworkInit, networksOf, readNetworks } from './networks.ts';
import type { TellProblem } from './problems.ts';

export type { AuthzInit } from './default-policy.ts';

/** What a client has to prove. `tls`: mutual TLS without a word of who it is. */
export interface Permit {
  readonly clients: 'anyone' | 'tls' | ClientIdentities;
}

/** Group and kind are the labels of metrics: Linkerd's, in lower case. */
export function resourceAuthorization(
  resource: { group: string; kind: string; name: string },
  networks: NetworkInit[],
  { clients }: Permit,
): AuthzInit {
  return {
    networks,
    authentication: authenticationOf(clients),
    labels: { ...resource },
    metadata: { kind: { case: 'resource', value: resource } },
  };
}

function authenticationOf(clients: Permit['clients']): MessageInitShape<typeof AuthnSchema> {
  if (clients === 'anyone') return { permit: { case: 'unauthenticated', value: {} } };
  if (clients === 'tls') {
    return { permit: { case: 'meshTLS', value: { clients: { case: 'unauthenticated', value: {} } } } };
  }
  const value = {
    identities: clients.names.map((name) => ({ name })),
    suffixes: clients.suffixes.map((parts) => ({ parts: [...parts] })),
  };
  return { permit: { case: 'meshTLS', value: { clients: { case: 'identities', value } } } };
}

/** What an AuthorizationPolicy is for, in its own namespace. */
export type AuthorizationTarget =
  | { readonly kind: 'namespace' }
  | { readonly kind: 'server'; readonly name: string }
  | { readonly kind: 'route'; readonly group: string; readonly route: string; readonly name: string };

/** Undefined: for nothing, and `tell` is told why. */
export function targetOf(
  { spec, metadata }: AuthorizationPolicy,
  tell: TellProblem,
): AuthorizationTarget | undefined {
  const ref = spec?.targetRef ?? {};
  const { name = '', group = '' } = ref;
  if (isKind(ref, '', 'Namespace')) {
    if (name === metadata?.namespace) return { kind: 'namespace' };
    tell(`it is for nothing: its target is the namespace ${name}, it can only be its own`);
    return undefined;
  }
  if (isKind(ref, POLICY_GROUP, 'Server')) return { kind: 'server', name };
  for (const [routeGroup, route] of ROUTE_KINDS)
    if (isKind(ref, routeGroup, route)) return { kind: 'route', group: group.toLowerCase(), route, name };
  tell(
    `it is for nothing: its target is ${refText(ref)}, it must be a Server, an HTTPRoute, a GRPCRoute or its Namespace`,
  );
  return undefined;
}

const ROUTE_KINDS = [
  [POLICY_GROUP, 'HTTPRoute'],
  [GATEWAY_GROUP, 'HTTPRoute'],
  [GATEWAY_GROUP, 'GRPCRoute'],
] as const;

/**
 * Whom an AuthorizationPolicy lets in: who has all of the authentications that it requires, each kind of which it may
 * name once (as with Linkerd). Undefined: nobody, since something of it can't be understood or is not there, and `tell`
 * is told what.
 */
export function policyAuthorization(
  policy: AuthorizationPolicy,
  cluster: ClusterReader,
  settings: DestinationSettings,
  tell: TellProblem,
): AuthzInit | undefined {
  const { metadata, spec } = policy;
  const refs = spec?.requiredAuthenticationRefs ?? [];
  const reading = new Requirements(metadata?.namespace ?? '', cluster, settings, tell);
  const readable = refs.map((ref) => reading.take(ref)).every((taken) => taken);
  if (!readable) return undefined;
  const { identities, networks } = reading;
  if (networks?.length === 0) {
    tell('it lets nobody in: none of its networks can be read');
    return undefined;
  }
  return resourceAuthorization(
    { group: POLICY_GROUP, kind: 'authorizationpolicy', name: metadata?.name ?? '' },
    networks ?? networksOf(EVERYWHERE),
    { clients: identities ?? 'anyone' },
  );
}

/** The authentications of one policy, taken one after the other. */
class Requirements {
  identities: ClientIdentities | undefined;
  networks: NetworkInit[] | undefined;
  readonly #namespace: string;
  readonly #cluster: ClusterReader;
  readonly #settings: DestinationSettings;
  readonly #tell: TellProblem;

  constructor(namespace: string, cluster: ClusterReader, settings: DestinationSettings, tell: TellProblem) {
    this.#namespace = namespace;
    this.#cluster = cluster;
    this.#settings = settings;
    this.#tell = tell;
  }

  /** False: it can't be understood. */
  take(ref: ObjectRef): boolean {
    if (isKind(ref, '', 'ServiceAccount')) return this.#takeIdentities(ref, this.#serviceAccount(ref));
    if (isKind(ref, POLICY_GROUP, 'MeshTLSAuthentication'))
      return this.#takeIdentities(ref, this.#meshTls(ref));
    if (isKind(ref, POLICY_GROUP, 'NetworkAuthentication')) return this.#takeNetworks(ref);
    return this.#refuse(
      `it requires ${refText(ref)}, which must be a MeshTLSAuthentication, a NetworkAuthentication or a ServiceAccount`,
    );
  }

  #takeIdentities(ref: ObjectRef, found: ClientIdentities | undefined): boolean {
    if (found === undefined) return this.#refuse(`it requires ${refText(ref)}, which does not exist`);
    if (this.identities !== undefined)
      return this.#refuse(
        'it requires two identities at once: name them in one MeshTLSAuthentication, or in two policies',
      );
    this.identities = found;
    return true;
  }

  #takeNetworks(ref: ObjectRef): boolean {
    const found = this.#cluster.policy(
      'networkAuthentications',
      ref.namespace ?? this.#namespace,
      ref.name ?? '',
    );
    if (found === undefined) return this.#refuse(`it requires ${refText(ref)}, which does not exist`);
    if (this.networks !== undefined)
      return this.#refuse(
        'it requires two networks at once: name them in one NetworkAuthentication, or in two policies',
      );
    this.networks = readNetworks(found.spec?.networks ?? [], () => {});
    return true;
  }

  #serviceAccount({ name = '', namespace = this.#namespace }: ObjectRef): ClientIdentities {
    return { names: [serviceAccountIdentity(namespace, name, this.#settings)], suffixes: [] };
  }

  #meshTls({ name = '', namespace = this.#namespace }: ObjectRef): ClientIdentities | undefined {
    const found = this.#cluster.policy('meshTlsAuthentications', namespace, name);
    return found === undefined ? undefined : meshTlsIdentities(found, this.#settings, () => {});
  }

  #refuse(problem: string): false {
    this.#tell(`it lets nobody in: ${problem}`);
    return false;
  }
}

/** The clients that a MeshTLSAuthentication names. */
export function meshTlsIdentities(
  { metadata, spec }: MeshTlsAuthentication,
  settings: DestinationSettings,
  tell: TellProblem,
): ClientIdentities {
  return joined(
    readIdentities(spec?.identities ?? [], settings, tell),
    readIdentityRefs(spec?.identityRefs ?? [], metadata?.namespace ?? '', settings, tell),
  );
}
