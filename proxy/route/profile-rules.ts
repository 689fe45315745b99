import type {
  DestinationProfile,
  RequestMatch,
  ResponseClass,
  ResponseMatch,
  Route as ProfileRoute,
} from '../../api/proto/gen/linkerd/destination_pb.js';
import { DEFAULT_PENALTY } from '../balance/penalty.ts';
import type { Head } from '../message/head.ts';
import { methodName } from './compile-match.ts';
import { type Matcher, MethodIs, PathRegex } from './match.ts';
import { defaultRoute, NO_TIMEOUTS, type OutboundRules, type Route } from './outbound-rules.ts';
import { Plan } from './plan.ts';
import { Budgets, DEFAULT_BUDGET, type RetryBudget } from './retry-budget.ts';
import { DEFAULT_BACK_OFF, grpcCodes, MAX_KEPT_BYTES, type RetryPolicy } from './retry-policy.ts';
import { msOf, shareOf } from './told-values.ts';

/** A profile knows a budget alone, and no number of retries: this bounds what one request may use up of it. */
const MAX_RETRIES = 10;
/** What counts as a failure of a call where a profile asks for retries: unknown, deadline exceeded, internal, unavailable, data loss. */
const FAILED_CALLS = grpcCodes([2, 4, 13, 14, 15]);

/**
 * The rules that a ServiceProfile makes for a target; undefined: it has neither routes nor other destinations, and the
 * policy holds. As with Linkerd, a profile that has some takes the place of all routes and of the ejection of
 * endpoints.
 * @param own `name:port` of the target
 * @param before the rules of the profile as it was until now: its retry budget counts on
 */
export function compileProfile(
  { routes, dstOverrides, retryBudget }: DestinationProfile,
  own: string,
  before?: OutboundRules,
): OutboundRules | undefined {
  if (routes.length === 0 && dstOverrides.length === 0) return undefined;
  const backends = dstOverrides.map(({ authority, weight }) => ({
    path: authority === own ? undefined : authority,
    filters: undefined,
    weight,
  }));
  const plan = backends.length === 0 ? undefined : new Plan(undefined, backends, false);
  const budgets = new Budgets();
  const budget = budgets.of(
    'profile',
    before?.budgets,
    retryBudget === undefined
      ? DEFAULT_BUDGET
      : {
          ratio: shareOf(retryBudget.retryRatio, DEFAULT_BUDGET.ratio),
          minPerSecond: retryBudget.minRetriesPerSecond,
          ttlMs: msOf(retryBudget.ttl) || DEFAULT_BUDGET.ttlMs,
        },
  );
  const compiled = routes.flatMap((route) => compileRoute(route, budget, plan));
  const fallback: Route = { ...defaultRoute(), budget, plan };
  return {
    // The first that fits, in the profile's own order.
    route: (head) => compiled.find(({ matches }) => matches(head))?.route ?? fallback,
    planned: plan !== undefined,
    backends: new Set(backends.flatMap(({ path }) => path ?? [])),
    accrual: undefined,
    penalty: DEFAULT_PENALTY,
    failFastMs: undefined,
    queueCapacity: undefined,
    budgets,
  };
}

type Test = (head: Head) => boolean;

/** One that cannot be compiled (a bad expression) is left out. */
function compileRoute(
  { condition, metricsLabels, timeout, isRetryable, responseClasses }: ProfileRoute,
  budget: RetryBudget,
  plan: Plan | undefined,
): { readonly matches: Test; readonly route: Route }[] {
  try {
    const request = msOf(timeout);
    const route: Route = {
      labels: {
        route_group: 'linkerd.io',
        route_kind: 'ServiceProfile',
        route_name: metricsLabels['route'] ?? '',
      },
      timeouts: request === 0 ? NO_TIMEOUTS : { request, response: 0, idle: 0 },
      retry: isRetryable ? retryPolicy(responseClasses) : undefined,
      budget,
      requestHeaders: false,
      plan,
    };
    return [{ matches: requestTest(condition), route }];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function requestTest(condition: RequestMatch | undefined): Test {
  const match = condition?.match;
  switch (match?.case) {
    case 'all': {
      const tests = match.value.matches.map(requestTest);
      return (head) => tests.every((test) => test(head));
    }
    case 'any': {
      const tests = match.value.matches.map(requestTest);
      return (head) => tests.some((test) => test(head));
    }
    case 'not': {
      const test = requestTest(match.value);
      return (head) => !test(head);
    }
    case 'path':
      return testOf(new PathRegex(match.value.regex));
    case 'method':
      return testOf(new MethodIs(methodName(match.value) ?? ''));
    default:
      return () => false;
  }
}

function testOf(matcher: Matcher): Test {
  return (head) => matcher.matches(head);
}

function retryPolicy(classes: readonly ResponseClass[]): RetryPolicy {
  return {
    statuses: failedStatuses(classes),
    grpcCodes: FAILED_CALLS,
    limit: MAX_RETRIES,
    maxBytes: MAX_KEPT_BYTES,
    attemptMs: 0,
    backOff: DEFAULT_BACK_OFF,
  };
}

const FIRST_STATUS = 200;
const LAST_STATUS = 599;

/** The first class that an answer belongs to says whether it failed; of none it has by its 5xx. */
function failedStatuses(classes: readonly ResponseClass[]): RetryPolicy['statuses'] {
  const ranges: [number, number][] = [];
  for (let status = FIRST_STATUS; status <= LAST_STATUS; status++) {
    const told = classes.find(({ condition }) => isResponse(condition, status))?.isFailure;
    if (!(told ?? status >= 500)) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === status - 1) last[1] = status;
    else ranges.push([status, status]);
  }
  return ranges;
}

function isResponse(condition: ResponseMatch | undefined, status: number): boolean {
  const match = condition?.match;
  switch (match?.case) {
    case 'all':
      return match.value.matches.every((one) => isResponse(one, status));
    case 'any':
      return match.value.matches.some((one) => isResponse(one, status));
    case 'not':
      return !isResponse(match.value, status);
    case 'status':
      return status >= match.value.min && status <= match.value.max;
    default:
      return false;
  }
}
