import type {
  Backend,
  FailureAccrual,
  GrpcRoute,
  GrpcRoute_Rule,
  HttpRoute,
  HttpRoute_Rule,
  OutboundPolicy,
} from '../../api/proto/gen/linkerd/outbound_pb.js';
import type { Metadata } from '../../api/proto/gen/linkerd/meta_pb.js';
import type { AccrualConfig } from '../balance/failure-accrual.ts';
import { DEFAULT_PENALTY, type PenaltyConfig } from '../balance/penalty.ts';
import type { Head } from '../message/head.ts';
import { causes } from '../errors.ts';
import type { Labels } from '../telemetry/registry.ts';
import { backOffOf, compileAccrual, compilePenalty } from './compile-ejection.ts';
import { compileGrpcMatch, compileHttpMatch, RouteTable, type RouteSource } from './compile-match.ts';
import { prefixOf, RouteFilters } from './filters.ts';
import { compilePlan, Plan } from './plan.ts';
import { Budgets, RetryBudget } from './retry-budget.ts';
import { DEFAULT_BACK_OFF, grpcCodes, MAX_KEPT_BYTES, type RetryPolicy } from './retry-policy.ts';
import { msOf, nameOf } from './told-values.ts';

/** What holds for the requests of one route. */
export interface Route {
  /** For metrics: the object that it is from, or that it is a default, in Linkerd's `route_…` labels. */
  readonly labels: Labels;
  readonly timeouts: Timeouts;
  readonly retry: RetryPolicy | undefined;
  readonly budget: RetryBudget;
  /** Requests may set their own limits (`l5d-timeout`, `l5d-retry-…`). */
  readonly requestHeaders: boolean;
  /** Undefined: requests go to the target as they are. */
  readonly plan: Plan | undefined;
}

/** ms; 0: no limit. */
export interface Timeouts {
  /** From the request's head to the response's end. */
  readonly request: number;
  /** From the request's end to the response's. */
  readonly response: number;
  /** Without a byte in either direction. */
  readonly idle: number;
}

/** What holds for a target. Immutable; a change makes a new one. */
export interface OutboundRules {
  /** The route of a request; where there are routes and none is for it, one that answers so. */
  route(head: Head): Route;
  /** Some route has a plan. */
  readonly planned: boolean;
  /** The Services that plans send requests to, beside the target itself, as `name:port`. */
  readonly backends: ReadonlySet<string>;
  readonly accrual: AccrualConfig | undefined;
  readonly penalty: PenaltyConfig;
  /** ms that requests wait for an endpoint; undefined: the proxy's own. */
  readonly failFastMs: number | undefined;
  /** Requests that wait for an endpoint; undefined: the proxy's own. */
  readonly queueCapacity: number | undefined;
  /** Those of the routes: the rules that follow go on with them. */
  readonly budgets: Budgets;
}

/** One object, so that the request path sees at once that there are none. */
export const NO_TIMEOUTS: Timeouts = { request: 0, response: 0, idle: 0 };

/** Rules of a target that no policy is known of. */
export function defaultRules(): OutboundRules {
  const route = defaultRoute();
  return {
    route: () => route,
    planned: false,
    backends: new Set(),
    accrual: undefined,
    penalty: DEFAULT_PENALTY,
    failFastMs: undefined,
    queueCapacity: undefined,
    budgets: new Budgets(),
  };
}

/**
 * Compiles what the policy API says of a target. A route that cannot be compiled (a bad expression) is left out.
 * @param before the rules that held until now: routes that stay keep their retry budgets
 */
export function compileOutboundPolicy(
  { protocol, metadata: own }: OutboundPolicy,
  before?: OutboundRules,
): OutboundRules {
  const kind = protocol?.kind;
  const budgets = new Budgets();
  const context: Context = { own, budget: (key) => budgets.of(key, before?.budgets) };
  if (kind?.case === 'detect') {
    const { http1, http2 } = kind.value;
    // The same routes stand in both, but for policies that name the protocol.
    const routes = http2?.routes ?? http1?.routes ?? [];
    return rulesOf(
      routes.map((route) => httpSource(route, context)),
      firstBackend(routes),
      http2?.failureAccrual ?? http1?.failureAccrual,
      budgets,
    );
  }
  if (kind?.case === 'http1' || kind?.case === 'http2') {
    const { routes, failureAccrual } = kind.value;
    return rulesOf(
      routes.map((route) => httpSource(route, context)),
      firstBackend(routes),
      failureAccrual,
      budgets,
    );
  }
  if (kind?.case === 'grpc') {
    const { routes, failureAccrual } = kind.value;
    return rulesOf(
      routes.map((route) => grpcSource(route, context)),
      firstBackend(routes),
      failureAccrual,
      budgets,
    );
  }
  return defaultRules();
}

/** What the routes of a policy have in common. */
interface Context {
  readonly own: Metadata | undefined;
  readonly budget: (key: string) => RetryBudget;
}

/** Rules by routes, the first that fits. */
function rulesOf(
  sources: readonly RouteSource<Route>[],
  backend: Backend | undefined,
  accrual: FailureAccrual | undefined,
  budgets: Budgets,
): OutboundRules {
  const table = new RouteTable(sources);
  const sole = soleRoute(sources);
  const fallback = sources.length === 0 ? defaultRoute() : NOWHERE;
  const plans = sources.flatMap(({ rules }) => rules.flatMap(({ value }) => value.plan ?? []));
  const { capacity = 0, failfastTimeout } = backend?.queue ?? {};
  return {
    route: sole ?? ((head) => table.find(head) ?? fallback),
    planned: plans.length > 0 || (sole === undefined && fallback.plan !== undefined),
    backends: new Set(plans.flatMap(({ backends }) => backends.flatMap(({ path }) => path ?? []))),
    accrual: compileAccrual(accrual),
    penalty: compilePenalty(backend),
    failFastMs: msOf(failfastTimeout) || undefined,
    queueCapacity: capacity || undefined,
    budgets,
  };
}

/** Of the routes that nobody wrote. */
const DEFAULT_LABELS: Labels = { route_kind: 'default', route_name: 'http' };

/** A route without limits. */
export function defaultRoute(): Route {
  return {
    labels: DEFAULT_LABELS,
    timeouts: NO_TIMEOUTS,
    retry: undefined,
    budget: new RetryBudget(),
    requestHeaders: false,
    plan: undefined,
  };
}

/** Of requests that no route is for. */
const NOWHERE: Route = {
  ...defaultRoute(),
  plan: new Plan(new RouteFilters([() => causes.noRoute], []), [], true),
};

/** The usual policy, one route for every path, needs no look at the request. */
function soleRoute(sources: readonly RouteSource<Route>[]): OutboundRules['route'] | undefined {
  const [source, ...others] = sources;
  const [rule, ...otherRules] = source?.rules ?? [];
  if (rule === undefined || source?.hosts.length !== 0 || others.length + otherRules.length > 0)
    return undefined;
  return rule.matches.every(({ fitsAll }) => fitsAll) ? () => rule.value : undefined;
}

function httpSource({ metadata, hosts, rules }: HttpRoute, context: Context): RouteSource<Route> {
  return {
    hosts,
    rules: rules.flatMap((rule, i) => {
      const matches = compiled(() => rule.matches.map(compileHttpMatch));
      if (matches === undefined) return [];
      const statuses =
        rule.retry?.conditions?.statusRanges.map(({ start, end }) => [start, end] as const) ?? [];
      const codes = grpcCodes(rule.retry?.conditions?.grpcCodes ?? []);
      const plan = compilePlan(rule, context.own, prefixOf(rule.matches));
      const budget = context.budget(budgetKey(metadata, i));
      return [{ matches, value: { ...routeOf(metadata, rule, statuses, codes), budget, plan } }];
    }),
  };
}

function grpcSource({ metadata, hosts, rules }: GrpcRoute, context: Context): RouteSource<Route> {
  return {
    hosts,
    rules: rules.flatMap((rule, i) => {
      const matches = compiled(() => rule.matches.map(compileGrpcMatch));
      if (matches === undefined) return [];
      const plan = compilePlan(rule, context.own, '');
      const budget = context.budget(budgetKey(metadata, i));
      return [{ matches, value: { ...routeOf(metadata, rule, [], grpcConditions(rule)), budget, plan } }];
    }),
  };
}

/** A rule has no name of its own: it is the n-th of its route. */
function budgetKey(metadata: Metadata | undefined, rule: number): string {
  return JSON.stringify([labelsOf(metadata), rule]);
}

function grpcConditions({ retry }: GrpcRoute_Rule): number {
  const { cancelled, deadineExceeded, resourceExhausted, internal, unavailable } = retry?.conditions ?? {};
  const codes: [boolean | undefined, number][] = [
    [cancelled, 1],
    [deadineExceeded, 4],
    [resourceExhausted, 8],
    [internal, 13],
    [unavailable, 14],
  ];
  return grpcCodes(codes.flatMap(([set, code]) => (set === true ? [code] : [])));
}

function routeOf(
  metadata: Metadata | undefined,
  rule: HttpRoute_Rule | GrpcRoute_Rule,
  statuses: RetryPolicy['statuses'],
  codes: number,
): Omit<Route, 'plan' | 'budget'> {
  const { timeouts, requestTimeout, retry } = rule;
  const retries = retry !== undefined && statuses.length + codes > 0;
  const tryMs = backendTimeout(rule);
  const requestMs = msOf(timeouts?.request) || msOf(requestTimeout);
  return {
    labels: labelsOf(metadata),
    // Without retries the time of a try is that of the request.
    timeouts: timeoutsOf(retries ? requestMs : least(requestMs, tryMs), timeouts),
    retry: !retries
      ? undefined
      : {
          statuses,
          grpcCodes: codes,
          limit: retry.maxRetries,
          maxBytes: Math.min(retry.maxRequestBytes || MAX_KEPT_BYTES, MAX_KEPT_BYTES),
          attemptMs: least(msOf(retry.timeout), tryMs),
          backOff: backOffOf(retry.backoff, DEFAULT_BACK_OFF),
        },
    requestHeaders: rule.allowL5dRequestHeaders,
  };
}

/** ms that a rule gives each try; 0: as long as the request has. Backends of one rule have the same, but for those that are not there, which have none. */
function backendTimeout({ backends }: HttpRoute_Rule | GrpcRoute_Rule): number {
  const kind = backends?.kind;
  const times =
    kind?.case === 'firstAvailable'
      ? kind.value.backends.map(({ requestTimeout }) => msOf(requestTimeout))
      : kind?.case === 'randomAvailable'
        ? kind.value.backends.map(({ backend }) => msOf(backend?.requestTimeout))
        : [];
  return times.find((ms) => ms > 0) ?? 0;
}

/** The lesser of two times, of which 0 means none. */
function least(a: number, b: number): number {
  return a > 0 && b > 0 ? Math.min(a, b) : a || b;
}

function timeoutsOf(request: number, told: HttpRoute_Rule['timeouts']): Timeouts {
  const timeouts = { request, response: msOf(told?.response), idle: msOf(told?.idle) };
  return timeouts.request + timeouts.response + timeouts.idle === 0 ? NO_TIMEOUTS : timeouts;
}

/** Undefined: an expression in it is none. */
function compiled<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function labelsOf(metadata: Metadata | undefined): Labels {
  const kind = metadata?.kind;
  if (kind?.case !== 'resource') return { ...DEFAULT_LABELS, route_name: nameOf(metadata) };
  const { group, kind: of, namespace, name } = kind.value;
  return { route_group: group, route_kind: of, route_namespace: namespace, route_name: name };
}

function firstBackend(routes: readonly (HttpRoute | GrpcRoute)[]): Backend | undefined {
  const kind = routes[0]?.rules[0]?.backends?.kind;
  if (kind?.case === 'firstAvailable') return kind.value.backends[0]?.backend;
  return kind?.case === 'randomAvailable' ? kind.value.backends[0]?.backend?.backend : undefined;
}
