import type { GrpcRoute, HttpRoute, ParentRef, RouteParentStatus } from '../../api/route-types.ts';
import { type NewCondition, setCondition } from '../../kubernetes/conditions.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { parentOf, type PolicyKind } from '../policy/kinds.ts';
import type { TellProblem } from '../policy/problems.ts';
import { inboundGrpcRules, inboundHttpRules } from '../policy/server-routes.ts';
import { resolveBackend } from '../routes/backends.ts';
import { outboundGrpcRules, outboundHttpRules } from '../routes/service-routes.ts';
import { trafficSettings } from '../traffic-annotations.ts';

export type RouteKind = Extract<PolicyKind, 'policyHttpRoutes' | 'httpRoutes' | 'grpcRoutes'>;

/** Names us in the statuses of routes, where each controller has entries of its own. */
export const ROUTE_CONTROLLER = 'isthmus.dev/policy-controller';

/**
 * The parents' statuses that a route should have: an entry for each Server and Service that it names, and what other
 * controllers have written. Undefined: it has them.
 * @param wallNow ms
 */
export function routeStatus(
  kind: RouteKind,
  route: HttpRoute | GrpcRoute,
  cluster: ClusterReader,
  wallNow: number,
): readonly RouteParentStatus[] | undefined {
  const before = route.status?.parents ?? [];
  const others = before.filter(({ controllerName }) => controllerName !== ROUTE_CONTROLLER);
  const own = (route.spec?.parentRefs ?? [])
    .filter((ref) => parentOf(ref, route.metadata?.namespace ?? '') !== undefined)
    .map((ref) => parentStatus(kind, route, ref, cluster, wallNow));
  const after = [...others, ...own];
  const isSame = after.length === before.length && after.every((one) => before.includes(one));
  return isSame ? undefined : after;
}

/** The entry that is there when it says the same. */
function parentStatus(
  kind: RouteKind,
  route: HttpRoute | GrpcRoute,
  parentRef: ParentRef,
  cluster: ClusterReader,
  wallNow: number,
): RouteParentStatus {
  const before = route.status?.parents?.find(
    (one) => one.controllerName === ROUTE_CONTROLLER && isSameRef(one.parentRef, parentRef),
  );
  const old = before?.conditions ?? [];
  const observed = route.metadata?.generation;
  const generation = observed === undefined ? {} : { observedGeneration: observed };
  const conditions = [accepted(kind, route, parentRef, cluster), resolvedRefs(route, cluster)].reduce(
    (all, next) => setCondition(all, { ...next, ...generation }, wallNow),
    old as readonly NonNullable<RouteParentStatus['conditions']>[number][],
  );
  if (before !== undefined && conditions === old) return before;
  return { parentRef, controllerName: ROUTE_CONTROLLER, conditions: [...conditions] };
}

function isSameRef(a: ParentRef, b: ParentRef): boolean {
  const names = ['group', 'kind', 'namespace', 'name', 'sectionName', 'port'] as const;
  return names.every((name) => a[name] === b[name]);
}

function accepted(
  kind: RouteKind,
  route: HttpRoute | GrpcRoute,
  ref: ParentRef,
  cluster: ClusterReader,
): NewCondition {
  const type = 'Accepted';
  const missing = missingParent(route, ref, cluster);
  if (missing !== undefined) return { type, status: 'False', reason: 'NoMatchingParent', message: missing };
  const problems: string[] = [];
  readRules(kind, route, ref, cluster, (problem) => problems.push(problem));
  return problems.length === 0
    ? { type, status: 'True', reason: 'Accepted', message: '' }
    : { type, status: 'False', reason: 'UnsupportedValue', message: problems.join('; ') };
}

function missingParent(
  { metadata }: HttpRoute | GrpcRoute,
  ref: ParentRef,
  cluster: ClusterReader,
): string | undefined {
  const parent = parentOf(ref, metadata?.namespace ?? '');
  if (parent === undefined) return undefined;
  const { kind, namespace, name } = parent;
  if (kind === 'Server') {
    if (namespace !== metadata?.namespace) return 'a route can only be for a Server of its own namespace';
    const isThere = cluster.policy('servers', namespace, name) !== undefined;
    return isThere ? undefined : `there is no Server ${namespace}/${name}`;
  }
  const service = cluster.service(namespace, name);
  if (service === undefined) return `there is no Service ${namespace}/${name}`;
  const { port, sectionName } = ref;
  const isServed = (service.spec?.ports ?? []).some(
    (one) =>
      (port === undefined || one.port === port) && (sectionName === undefined || one.name === sectionName),
  );
  return isServed ? undefined : `the Service ${namespace}/${name} has no such port`;
}

/**
 * Reads a route as the streams do, for what can't be read. What backends there are is a condition of its own; their
 * filters are read with those of their rule.
 */
function readRules(
  kind: RouteKind,
  route: HttpRoute | GrpcRoute,
  ref: ParentRef,
  cluster: ClusterReader,
  tell: TellProblem,
): void {
  const rules = (route.spec?.rules ?? []).map(({ filters = [], backendRefs = [], ...rule }) => ({
    ...rule,
    filters: [...filters, ...backendRefs.flatMap((ref) => ref.filters ?? [])],
  }));
  const bare = { ...route, spec: { ...route.spec, rules } };
  const isInbound = parentOf(ref, route.metadata?.namespace ?? '')?.kind === 'Server';
  const context = {
    parent: { service: {}, port: 0, clientNamespace: undefined },
    cluster,
    traffic: trafficSettings(undefined),
    own: {},
    balancer: () => ({}),
  };
  if (kind === 'grpcRoutes') {
    const calls = bare as GrpcRoute;
    if (isInbound) inboundGrpcRules(calls, tell);
    else outboundGrpcRules(calls, context, tell);
  } else {
    const requests = bare as HttpRoute;
    if (isInbound) inboundHttpRules(requests, tell);
    else outboundHttpRules(requests, context, tell);
  }
}

function resolvedRefs({ metadata, spec }: HttpRoute | GrpcRoute, cluster: ClusterReader): NewCondition {
  const type = 'ResolvedRefs';
  for (const ref of (spec?.rules ?? []).flatMap(({ backendRefs = [] }) => backendRefs)) {
    const found = resolveBackend(ref, metadata?.namespace ?? '', cluster);
    if ('problem' in found) return { type, status: 'False', reason: found.reason, message: found.problem };
  }
  return { type, status: 'True', reason: 'ResolvedRefs', message: '' };
}
