import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';

import type {
  GrpcRoute_DistributionSchema,
  GrpcRoute_FilterSchema,
  GrpcRouteSchema,
  HttpRouteSchema,
} from '../../api/proto/gen/linkerd/outbound_pb.js';
import type { GrpcRoute, HttpRoute, RouteRule } from '../../api/route-types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { routeMetadata } from '../metadata.ts';
import { policyKinds } from '../policy/kinds.ts';
import { quoted, type TellProblem, untold } from '../policy/problems.ts';
import { type TrafficSettings, trafficSettings } from '../traffic-annotations.ts';
import { grpcRule, httpRule, protoDuration } from '../traffic-policy.ts';
import { type BackendInit, type ServicePortRef, type WeightedBackend, weightedBackends } from './backends.ts';
import { parseRouteDuration } from './durations.ts';
import { callFilters, type OutboundFilterInit, outboundFilters, type ReadFilters } from './filters.ts';
import { EVERY_CALL, EVERY_REQUEST, grpcMatch, hostMatches, httpMatch, readMatches } from './matches.ts';
import { byAge } from './route-order.ts';
import { routesFor, type ServiceParent } from './service-parent.ts';

export type HttpRouteInit = MessageInitShape<typeof HttpRouteSchema>;
export type GrpcRouteInit = MessageInitShape<typeof GrpcRouteSchema>;

/** What routes of a Service are put together with. */
export interface RouteContext {
  readonly parent: ServiceParent;
  readonly cluster: ClusterReader;
  /** Of the Service itself: holds where a route says nothing. */
  readonly traffic: TrafficSettings;
  readonly own: BackendInit;
  readonly balancer: (service: ServicePortRef) => BackendInit;
}

/** The HTTPRoutes that hold, of both groups, the oldest first. */
export function outboundHttpRoutes(context: RouteContext): HttpRouteInit[] {
  const found = routesFor(['policyHttpRoutes', 'httpRoutes'], context.parent, context.cluster);
  return byAge(found.map((one) => ({ ...one, metadata: one.route.metadata }))).map(({ kind, route }) => ({
    metadata: routeMetadata(policyKinds[kind].resource, route),
    hosts: hostMatches(route.spec?.hostnames),
    rules: outboundHttpRules(route, context, untold),
  }));
}

/** As for HTTPRoutes. */
export function outboundGrpcRoutes(context: RouteContext): GrpcRouteInit[] {
  const found = routesFor(['grpcRoutes'], context.parent, context.cluster).map(({ route }) => route);
  return byAge(found).map((route) => ({
    metadata: routeMetadata(policyKinds.grpcRoutes.resource, route),
    hosts: hostMatches(route.spec?.hostnames),
    rules: outboundGrpcRules(route, context, untold),
  }));
}

/** The rules of a route for clients of a Service. What can't be read is for nothing, or not there. */
export function outboundHttpRules(
  route: HttpRoute,
  context: RouteContext,
  tell: TellProblem,
): NonNullable<HttpRouteInit['rules']> {
  const traffic = trafficOf(route, context, tell);
  return (route.spec?.rules ?? []).flatMap((rule) => {
    const matches = readMatches(rule.matches, httpMatch, EVERY_REQUEST, tell);
    if (matches === undefined) return [];
    const settings = httpRule(timed(rule, traffic, tell));
    const backends = distribution(rule, route, context, outboundFilters, tell);
    return [{ matches, filters: outboundFilters(rule.filters, tell), backends, ...settings }];
  });
}

/** As for HTTPRoutes; calls are not redirected. */
export function outboundGrpcRules(
  route: GrpcRoute,
  context: RouteContext,
  tell: TellProblem,
): NonNullable<GrpcRouteInit['rules']> {
  const traffic = trafficOf(route, context, tell);
  return (route.spec?.rules ?? []).flatMap((rule) => {
    const matches = readMatches(rule.matches, grpcMatch, EVERY_CALL, tell);
    if (matches === undefined) return [];
    const settings = grpcRule(timed(rule, traffic, tell));
    const backends = callDistribution(distribution(rule, route, context, callFilters, tell));
    return [{ matches, filters: callFilters(rule.filters, tell), backends, ...settings }];
  });
}

/** A rule that names no backend sends its requests where they were going anyway. */
function distribution<M>(
  { backendRefs = [], timeouts }: RouteRule<M>,
  route: HttpRoute | GrpcRoute,
  { cluster, own, balancer }: RouteContext,
  readFilters: ReadFilters,
  tell: TellProblem,
): Distribution {
  const ms = durationOf('backendRequest', timeouts?.backendRequest, tell);
  const requestTimeout = ms === undefined || ms === 0 ? undefined : protoDuration(ms);
  if (backendRefs.length === 0) {
    const time = requestTimeout === undefined ? {} : { requestTimeout };
    return { kind: { case: 'firstAvailable', value: { backends: [{ backend: own, ...time }] } } };
  }
  const backends = weightedBackends(backendRefs, {
    routeNamespace: route.metadata?.namespace ?? '',
    cluster,
    balancer,
    requestTimeout,
    readFilters,
    tell,
  });
  return { kind: { case: 'randomAvailable', value: { backends } } };
}

interface Distribution {
  readonly kind:
    | { readonly case: 'firstAvailable'; readonly value: { readonly backends: OwnBackend[] } }
    | { readonly case: 'randomAvailable'; readonly value: { readonly backends: WeightedBackend[] } };
}

interface OwnBackend {
  readonly backend: BackendInit;
  readonly requestTimeout?: Duration;
}

/** The same for calls. */
function callDistribution({ kind }: Distribution): MessageInitShape<typeof GrpcRoute_DistributionSchema> {
  if (kind.case === 'firstAvailable') return { kind };
  const backends = kind.value.backends.map(({ weight, backend }) => ({
    weight,
    backend: { ...backend, filters: backend.filters.map(callFilter) },
  }));
  return { kind: { case: 'randomAvailable', value: { backends } } };
}

/** A backend's filter for calls: those that it names, and what answers where it is none. */
function callFilter({ kind }: OutboundFilterInit): MessageInitShape<typeof GrpcRoute_FilterSchema> {
  if (kind?.case === 'requestHeaderModifier') return { kind };
  if (kind?.case !== 'failureInjector') return {};
  const { message = '' } = kind.value;
  return { kind: { case: 'failureInjector', value: { code: UNAVAILABLE, message } } };
}

/** Of gRPC. */
const UNAVAILABLE = 14;

/** What a route's annotations say, and the Service's where they say nothing. */
function trafficOf(
  { metadata }: HttpRoute | GrpcRoute,
  { traffic: service }: RouteContext,
  tell: TellProblem,
): TrafficSettings {
  const route = trafficSettings(metadata?.annotations);
  for (const problem of route.problems) tell(problem);
  const { request, response, idle } = route.timeouts;
  return {
    ...service,
    timeouts: request + response + idle > 0 ? route.timeouts : service.timeouts,
    retry: route.retry ?? service.retry,
    requestHeaders: route.requestHeaders || service.requestHeaders,
  };
}

/** A rule's own time for requests goes before that of annotations. */
function timed<M>({ timeouts }: RouteRule<M>, traffic: TrafficSettings, tell: TellProblem): TrafficSettings {
  const request = durationOf('request', timeouts?.request, tell);
  if (request === undefined) return traffic;
  return { ...traffic, timeouts: { ...traffic.timeouts, request } };
}

/** ms; undefined: it is not said. */
function durationOf(name: string, text: string | undefined, tell: TellProblem): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseRouteDuration(text);
  if (ms === undefined)
    tell(
      `timeouts.${name} counts as absent: it is ${quoted(text)}, it must be a duration such as 10s or 1m30s`,
    );
  return ms;
}
