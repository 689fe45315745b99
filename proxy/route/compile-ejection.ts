import type { Backend, ExponentialBackoff, FailureAccrual } from '../../api/proto/gen/linkerd/outbound_pb.js';
import type { AccrualConfig } from '../balance/failure-accrual.ts';
import { DEFAULT_PENALTY, type PenaltyConfig } from '../balance/penalty.ts';
import type { BackOffConfig } from './retry-policy.ts';
import { msOf, shareOf } from './told-values.ts';

/** Linkerd's, where the policy leaves them out. */
const ACCRUAL_BACK_OFF: BackOffConfig = { minMs: 1_000, maxMs: 60_000, jitter: 0.5 };
const MAX_FAILURES = 7;

/** When endpoints are taken out, as a policy has it; undefined: never. */
export function compileAccrual(accrual: FailureAccrual | undefined): AccrualConfig | undefined {
  const kind = accrual?.kind;
  if (kind?.case === undefined) return undefined;
  const common = {
    backOff: backOffOf(kind.value.backoff, ACCRUAL_BACK_OFF),
    honoursRetryAfter: kind.value.backoff?.respectRetryAfterHint ?? false,
    minReady: accrual?.ejection?.minReadyEndpoints ?? 0,
  };
  if (kind.case === 'consecutiveFailures') {
    return { ...common, maxFailures: kind.value.maxFailures || MAX_FAILURES, successRate: undefined };
  }
  const { successRateThreshold, decay, minRequests, maxConsecutiveFailures } = kind.value;
  return {
    ...common,
    maxFailures: maxConsecutiveFailures || MAX_FAILURES,
    successRate: { threshold: successRateThreshold, windowMs: msOf(decay) || 10_000, minRequests },
  };
}

/** How endpoints that fail are put at the back, as a policy has it. */
export function compilePenalty(backend: Backend | undefined): PenaltyConfig {
  const load = backend?.kind.case === 'balancer' ? backend.kind.value.load : undefined;
  if (load?.case !== 'penaltyPeakEwma') return DEFAULT_PENALTY;
  const { penalty, penaltyDecay, maxRetryAfter } = load.value;
  return {
    penaltyMs: msOf(penalty) || DEFAULT_PENALTY.penaltyMs,
    decayMs: msOf(penaltyDecay) || DEFAULT_PENALTY.decayMs,
    maxRetryAfterMs: msOf(maxRetryAfter) || DEFAULT_PENALTY.maxRetryAfterMs,
  };
}

/** A back-off that a policy tells, with what it leaves out. */
export function backOffOf(backOff: ExponentialBackoff | undefined, fallback: BackOffConfig): BackOffConfig {
  if (backOff === undefined) return fallback;
  const minMs = msOf(backOff.minBackoff) || fallback.minMs;
  return {
    minMs,
    maxMs: Math.max(minMs, msOf(backOff.maxBackoff) || fallback.maxMs),
    jitter: shareOf(backOff.jitterRatio, fallback.jitter),
  };
}
