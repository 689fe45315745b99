import type { MessageInitShape } from '@bufbuild/protobuf';

import type { RequestCondition, ResponseCondition, ServiceProfile } from '../../api/policy-types.ts';
import type {
  RequestMatchSchema,
  ResponseMatchSchema,
  RetryBudgetSchema,
  RouteSchema,
  WeightedDstSchema,
} from '../../api/proto/gen/linkerd/destination_pb.js';
import { quoted, type TellProblem } from '../policy/problems.ts';
import { parseRouteDuration } from '../routes/durations.ts';
import { expression, httpMethod, UnreadableError } from '../routes/matches.ts';
import { protoDuration } from '../traffic-policy.ts';

export type ProfileRouteInit = MessageInitShape<typeof RouteSchema>;
export type RetryBudgetInit = MessageInitShape<typeof RetryBudgetSchema>;
type RequestMatchInit = MessageInitShape<typeof RequestMatchSchema>;
type ResponseMatchInit = MessageInitShape<typeof ResponseMatchSchema>;

/** Linkerd's retry budget where no ServiceProfile says otherwise. */
export const DEFAULT_RETRY_BUDGET = {
  retryRatio: 0.2,
  minRetriesPerSecond: 10,
  ttl: { seconds: 10n },
} as const satisfies RetryBudgetInit;

/** More than any proxy sends again; the proxy API has 32 bits. */
const MAX_RETRIES_PER_SECOND = 1_000_000;

/** The routes of a profile, in their order. One whose condition can't be read is left out, and told. */
export function profileRoutes({ spec }: ServiceProfile, tell: TellProblem): ProfileRouteInit[] {
  return (spec?.routes ?? []).flatMap((route) => {
    const { name = '', condition, responseClasses = [], isRetryable = false, timeout } = route;
    try {
      const ms = timeout === undefined ? 0 : parseRouteDuration(timeout);
      if (ms === undefined)
        tell(
          `the route ${quoted(name)} has no timeout: ${quoted(timeout)} must be a duration such as 300ms or 5s`,
        );
      return [
        {
          condition: requestMatch(condition ?? {}),
          responseClasses: responseClasses.map((one) => ({
            condition: responseMatch(one.condition ?? {}),
            isFailure: one.isFailure ?? false,
          })),
          metricsLabels: { route: name },
          isRetryable,
          ...(ms === undefined || ms === 0 ? {} : { timeout: protoDuration(ms) }),
        },
      ];
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      tell(`the route ${quoted(name)} is left out: ${error.message}`);
      return [];
    }
  });
}

/** The profile's budget for retries; Linkerd's default for what it does not say, and (told) for what can't be. */
export function retryBudget({ spec }: ServiceProfile, tell: TellProblem): RetryBudgetInit {
  const { retryRatio, minRetriesPerSecond, ttl } = spec?.retryBudget ?? {};
  const usual = DEFAULT_RETRY_BUDGET;
  const number = (name: string, value: number | undefined, fallback: number, most: number): number => {
    if (value === undefined || (value >= 0 && value <= most)) return value ?? fallback;
    tell(`retryBudget.${name} is ${fallback}: ${quoted(value)} must be from 0 to ${most}`);
    return fallback;
  };
  const ms = ttl === undefined ? 0 : parseRouteDuration(ttl);
  if (ms === undefined) tell(`retryBudget.ttl is 10s: ${quoted(ttl)} must be a duration such as 10s`);
  return {
    retryRatio: number('retryRatio', retryRatio, usual.retryRatio, MAX_RETRY_RATIO),
    minRetriesPerSecond: Math.floor(
      number('minRetriesPerSecond', minRetriesPerSecond, usual.minRetriesPerSecond, MAX_RETRIES_PER_SECOND),
    ),
    ttl: ms === undefined || ms === 0 ? usual.ttl : protoDuration(ms),
  };
}

/** Linkerd's: retries for each request. */
const MAX_RETRY_RATIO = 1_000;

/** Where the profile sends the requests, in thousandths of its weights. @param port of authorities that name none */
export function destinationOverrides(
  { spec }: ServiceProfile,
  port: number,
): MessageInitShape<typeof WeightedDstSchema>[] {
  return (spec?.dstOverrides ?? []).flatMap(({ authority = '', weight }) => {
    const thousandths = thousandthsOf(weight);
    if (authority === '' || thousandths === undefined) return [];
    return [{ authority: /:\d+$/.test(authority) ? authority : `${authority}:${port}`, weight: thousandths }];
  });
}

/** A Kubernetes quantity of the plain or the milli kind: `1`, `0.5`, `500m`. */
function thousandthsOf(weight: number | string | undefined): number | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)(m?)$/.exec(String(weight ?? ''));
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (match[2] === 'm' ? 1 : 1_000));
}

function requestMatch(condition: RequestCondition): RequestMatchInit {
  const { pathRegex, method, all, any, not } = condition;
  const parts: RequestMatchInit[] = [
    ...(pathRegex === undefined
      ? []
      : [{ match: { case: 'path', value: { regex: expression(pathRegex) } } } as const]),
    ...(method === undefined ? [] : [{ match: { case: 'method', value: httpMethod(method) } } as const]),
    ...(all === undefined
      ? []
      : [{ match: { case: 'all', value: { matches: all.map(requestMatch) } } } as const]),
    ...(any === undefined
      ? []
      : [{ match: { case: 'any', value: { matches: any.map(requestMatch) } } } as const]),
    ...(not === undefined ? [] : [{ match: { case: 'not', value: requestMatch(not) } } as const]),
  ];
  return together(parts, `the condition ${quoted(condition)} asks for nothing`, (matches) => ({
    match: { case: 'all', value: { matches } },
  }));
}

function responseMatch(condition: ResponseCondition): ResponseMatchInit {
  const { status, all, any, not } = condition;
  const parts: ResponseMatchInit[] = [
    ...(status === undefined ? [] : [{ match: { case: 'status', value: statusRange(status) } } as const]),
    ...(all === undefined
      ? []
      : [{ match: { case: 'all', value: { matches: all.map(responseMatch) } } } as const]),
    ...(any === undefined
      ? []
      : [{ match: { case: 'any', value: { matches: any.map(responseMatch) } } } as const]),
    ...(not === undefined ? [] : [{ match: { case: 'not', value: responseMatch(not) } } as const]),
  ];
  return together(parts, `the condition ${quoted(condition)} asks for nothing`, (matches) => ({
    match: { case: 'all', value: { matches } },
  }));
}

/** Throws an UnreadableError for what are no statuses of HTTP. */
function statusRange({ min, max }: NonNullable<ResponseCondition['status']>): { min: number; max: number } {
  const range = { min: min ?? max ?? 0, max: max ?? min ?? 0 };
  for (const status of [range.min, range.max])
    if (!Number.isInteger(status) || status < 100 || status > 599)
      throw new UnreadableError(`the status ${quoted(status)} must be from 100 to 599`);
  return range;
}

/** Several fields of one condition must all fit. */
function together<M>(parts: M[], empty: string, all: (matches: M[]) => M): M {
  const [first, ...others] = parts;
  if (first === undefined) throw new UnreadableError(empty);
  return others.length === 0 ? first : all(parts);
}
