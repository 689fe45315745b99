import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import {
  type AuthorizationPolicy,
  type HttpLocalRateLimitPolicy,
  type MeshTlsAuthentication,
  type NetworkAuthentication,
  POLICY_GROUP,
  type PolicyServer,
  type ServerAuthorization,
  type ServiceProfile,
} from '../../api/policy-types.ts';
import type { GrpcRoute, HttpRoute, ParentRef } from '../../api/route-types.ts';
import { policyResources } from '../../kubernetes/policy-resources.ts';
import type { Resource } from '../../kubernetes/types.ts';

/** The kinds of policy that are read where the cluster has them. */
export interface PolicyKinds {
  servers: PolicyServer;
  serverAuthorizations: ServerAuthorization;
  authorizationPolicies: AuthorizationPolicy;
  meshTlsAuthentications: MeshTlsAuthentication;
  networkAuthentications: NetworkAuthentication;
  httpLocalRateLimitPolicies: HttpLocalRateLimitPolicy;
  policyHttpRoutes: HttpRoute;
  httpRoutes: HttpRoute;
  grpcRoutes: GrpcRoute;
  serviceProfiles: ServiceProfile;
}

export type PolicyKind = keyof PolicyKinds;

/** How a kind is read. */
export interface KindReading<T extends KubernetesObject> {
  /** With the version that we like best. */
  readonly resource: Resource<T>;
  /** Older versions of it that are read where the best is not served, by preference. */
  readonly older: readonly string[];
  /** What objects are looked up by, beside their names. */
  readonly terms: (object: T) => readonly string[];
}

const byNamespace = ({ metadata }: KubernetesObject): string[] => [metadata?.namespace ?? ''];

/** The kinds and how each is read. */
export const policyKinds: { readonly [K in keyof typeof policyResources]: KindReading<PolicyKinds[K]> } = {
  servers: { resource: policyResources.servers, older: ['v1beta2', 'v1beta1'], terms: byNamespace },
  serverAuthorizations: { resource: policyResources.serverAuthorizations, older: [], terms: byNamespace },
  authorizationPolicies: { resource: policyResources.authorizationPolicies, older: [], terms: byNamespace },
  meshTlsAuthentications: { resource: policyResources.meshTlsAuthentications, older: [], terms: byNamespace },
  networkAuthentications: { resource: policyResources.networkAuthentications, older: [], terms: byNamespace },
  httpLocalRateLimitPolicies: {
    resource: policyResources.httpLocalRateLimitPolicies,
    older: [],
    terms: byNamespace,
  },
  policyHttpRoutes: {
    resource: policyResources.policyHttpRoutes,
    older: ['v1beta2', 'v1beta1'],
    terms: parentTerms,
  },
  httpRoutes: { resource: policyResources.httpRoutes, older: ['v1beta1'], terms: parentTerms },
  grpcRoutes: { resource: policyResources.grpcRoutes, older: [], terms: parentTerms },
  serviceProfiles: { resource: policyResources.serviceProfiles, older: [], terms: () => [] },
};

/** The names of all kinds. */
export const POLICY_KINDS = Object.keys(policyKinds) as PolicyKind[];

/** What a route can be attached to. */
export type ParentKind = 'Server' | 'Service';

/** The term that the routes of a parent are found by. */
export function parentTerm(kind: ParentKind, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`;
}

/** Which parent a route's reference means; undefined when it is for another controller (a Gateway, for one). */
export function parentOf(
  ref: ParentRef,
  routeNamespace: string,
): { kind: ParentKind; namespace: string; name: string } | undefined {
  const { group = '', kind = '', name = '', namespace = routeNamespace } = ref;
  if (kind === 'Server' && group === POLICY_GROUP) return { kind, namespace, name };
  return kind === 'Service' && (group === '' || group === 'core') ? { kind, namespace, name } : undefined;
}

function parentTerms({ metadata, spec }: HttpRoute | GrpcRoute): string[] {
  const parents = (spec?.parentRefs ?? []).map((ref) => parentOf(ref, metadata?.namespace ?? ''));
  return [
    ...new Set(
      parents.flatMap((parent) =>
        parent === undefined ? [] : [parentTerm(parent.kind, parent.namespace, parent.name)],
      ),
    ),
  ];
}
