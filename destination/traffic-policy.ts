import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

import { GRPC_CONDITIONS } from '../api/traffic-syntax.ts';
import type { AccrualSettings, RetrySettings, TrafficSettings } from './traffic-annotations.ts';

/** Linkerd's: bytes of a request's body that may be kept to send it again, and ms between the attempts. */
const MAX_RETRY_BYTES = 65_536;
const RETRY_BACKOFF = {
  minBackoff: { nanos: 25_000_000 },
  maxBackoff: { nanos: 250_000_000 },
  jitterRatio: 1,
};

/** What an HTTP route's rule says of timeouts and retries. */
export function httpRule(settings: TrafficSettings) {
  const { retry } = settings;
  return { ...commonRule(settings), ...(retry === undefined ? {} : { retry: httpRetry(retry) }) };
}

/** What a gRPC route's rule says of them: its retries know codes of gRPC alone. */
export function grpcRule(settings: TrafficSettings) {
  const { retry } = settings;
  const wanted = retry !== undefined && retry.grpcCodes.length > 0;
  return { ...commonRule(settings), ...(wanted ? { retry: grpcRetry(retry) } : {}) };
}

function commonRule({ timeouts, requestHeaders }: TrafficSettings) {
  const limits = {
    ...(timeouts.request === 0 ? {} : { request: protoDuration(timeouts.request) }),
    ...(timeouts.response === 0 ? {} : { response: protoDuration(timeouts.response) }),
    ...(timeouts.idle === 0 ? {} : { idle: protoDuration(timeouts.idle) }),
  };
  return {
    ...(Object.keys(limits).length === 0 ? {} : { timeouts: limits }),
    allowL5dRequestHeaders: requestHeaders,
  };
}

function httpRetry(settings: RetrySettings) {
  const { statuses, grpcCodes } = settings;
  return {
    ...commonRetry(settings),
    conditions: {
      statusRanges: statuses.map(([start, end]) => ({ start, end })),
      grpcCodes: [...grpcCodes],
    },
  };
}

function grpcRetry(settings: RetrySettings) {
  const has = (name: string): boolean => settings.grpcCodes.includes(GRPC_CONDITIONS.get(name) ?? -1);
  return {
    ...commonRetry(settings),
    conditions: {
      cancelled: has('cancelled'),
      // As the proxy API spells it.
      deadineExceeded: has('deadline-exceeded'),
      resourceExhausted: has('resource-exhausted'),
      internal: has('internal'),
      unavailable: has('unavailable'),
    },
  };
}

function commonRetry({ limit, timeout }: RetrySettings) {
  return {
    maxRetries: limit,
    maxRequestBytes: MAX_RETRY_BYTES,
    backoff: RETRY_BACKOFF,
    ...(timeout === 0 ? {} : { timeout: protoDuration(timeout) }),
  };
}

/** When an endpoint is taken out of the balancer. */
export function failureAccrual(accrual: AccrualSettings | undefined) {
  if (accrual === undefined) return {};
  const { maxFailures, successRate } = accrual;
  const backoff = {
    minBackoff: protoDuration(accrual.minPenalty),
    maxBackoff: protoDuration(accrual.maxPenalty),
    jitterRatio: accrual.jitter,
    respectRetryAfterHint: accrual.honourRetryAfter,
  };
  return {
    failureAccrual: {
      kind:
        successRate === undefined
          ? ({ case: 'consecutiveFailures', value: { maxFailures, backoff } } as const)
          : ({
              case: 'unified',
              value: {
                successRateThreshold: successRate.threshold,
                decay: protoDuration(successRate.window),
                minRequests: successRate.minRequests,
                maxConsecutiveFailures: maxFailures,
                backoff,
              },
            } as const),
    },
  };
}

/** @param ms whole milliseconds, 0 or more */
export function protoDuration(ms: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(ms / 1_000)),
    nanos: (ms % 1_000) * 1_000_000,
  });
}
