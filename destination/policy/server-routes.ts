import type { MessageInitShape } from '@bufbuild/protobuf';

import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { PolicyServer } from '../../api/policy-types.ts';
import type { GrpcRouteSchema, HttpRouteSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { GrpcRoute, HttpRoute } from '../../api/route-types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { routeMetadata } from '../metadata.ts';
import { callFilters, inboundFilters } from '../routes/filters.ts';
import {
  EVERY_CALL,
  EVERY_REQUEST,
  grpcMatch,
  hostMatches,
  httpMatch,
  readMatches,
} from '../routes/matches.ts';
import { byAge } from '../routes/route-order.ts';
import { type AuthzInit, policyAuthorization, targetOf } from './authorization.ts';
import { type PolicyKind, parentTerm, policyKinds } from './kinds.ts';
import { type TellProblem, untold } from './problems.ts';
import type { DestinationSettings } from '../settings.ts';

type HttpRouteInit = MessageInitShape<typeof HttpRouteSchema>;
type GrpcRouteInit = MessageInitShape<typeof GrpcRouteSchema>;
type RouteKind = Extract<PolicyKind, 'policyHttpRoutes' | 'httpRoutes' | 'grpcRoutes'>;

/** The HTTPRoutes that are attached to a Server, of both groups, with whom each lets in besides the Server's own clients. */
export function serverHttpRoutes(
  server: PolicyServer,
  cluster: ClusterReader,
  settings: DestinationSettings,
): HttpRouteInit[] {
  const kinds = ['policyHttpRoutes', 'httpRoutes'] as const;
  const routes = kinds.flatMap((kind) =>
    attached(kind, server, cluster).map((route) => ({ kind, route, metadata: route.metadata })),
  );
  return byAge(routes).map(({ kind, route }) => ({
    ...routeHead(kind, route, cluster, settings),
    rules: inboundHttpRules(route, untold),
  }));
}

/** As for HTTPRoutes. */
export function serverGrpcRoutes(
  server: PolicyServer,
  cluster: ClusterReader,
  settings: DestinationSettings,
): GrpcRouteInit[] {
  return byAge(attached('grpcRoutes', server, cluster)).map((route) => ({
    ...routeHead('grpcRoutes', route, cluster, settings),
    rules: inboundGrpcRules(route, untold),
  }));
}

/** The rules of a route for a Server. What can't be read is for nothing. */
export function inboundHttpRules(
  { spec }: HttpRoute,
  tell: TellProblem,
): NonNullable<HttpRouteInit['rules']> {
  return (spec?.rules ?? []).flatMap((rule) => {
    const matches = readMatches(rule.matches, httpMatch, EVERY_REQUEST, tell);
    return matches === undefined ? [] : [{ matches, filters: inboundFilters(rule.filters, tell) }];
  });
}

/** As for HTTPRoutes. */
export function inboundGrpcRules(
  { spec }: GrpcRoute,
  tell: TellProblem,
): NonNullable<GrpcRouteInit['rules']> {
  return (spec?.rules ?? []).flatMap((rule) => {
    const matches = readMatches(rule.matches, grpcMatch, EVERY_CALL, tell);
    if (matches === undefined) return [];
    return [{ matches, filters: callFilters(rule.filters, tell) }];
  });
}

function attached<K extends RouteKind>(kind: K, { metadata }: PolicyServer, cluster: ClusterReader) {
  const { namespace = '', name = '' } = metadata ?? {};
  // A route of another namespace has no say in who is let in here.
  return cluster
    .policies(kind, parentTerm('Server', namespace, name))
    .filter((route) => route.metadata?.namespace === namespace);
}

function routeHead(
  kind: RouteKind,
  route: HttpRoute | GrpcRoute,
  cluster: ClusterReader,
  settings: DestinationSettings,
) {
  return {
    metadata: routeMetadata(policyKinds[kind].resource, route),
    hosts: hostMatches(route.spec?.hostnames),
    authorizations: routeAuthorizations(kind, route, cluster, settings),
  };
}

/** Whom policies for the route itself let in. */
function routeAuthorizations(
  kind: RouteKind,
  { metadata }: KubernetesObject,
  cluster: ClusterReader,
  settings: DestinationSettings,
): AuthzInit[] {
  const { resource } = policyKinds[kind];
  return cluster
    .policies('authorizationPolicies', metadata?.namespace ?? '')
    .filter((policy) => {
      const target = targetOf(policy, untold);
      return (
        target?.kind === 'route' &&
        target.group === resource.group &&
        target.route === resource.kind &&
        target.name === metadata?.name
      );
    })
    .map((policy) => policyAuthorization(policy, cluster, settings, untold))
    .filter((authorization) => authorization !== undefined);
}
