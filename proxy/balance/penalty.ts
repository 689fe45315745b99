/** What a failure costs an endpoint in the choice between two. */
export interface PenaltyConfig {
  /** ms that are added to what it is assumed to take. */
  readonly penaltyMs: number;
  /** ms after which the penalty weighs 1/e. */
  readonly decayMs: number;
  /** ms that a server's `Retry-After` is followed at most. */
  readonly maxRetryAfterMs: number;
}

/**
 * Linkerd's load biaser, which has to be asked for there. Here it always holds: an endpoint that fails at once looks
 * like the fastest of all, and would draw what the others could serve. Milder than Linkerd's (5 s, 10 s): a single
 * failure costs an endpoint its share for some ten seconds, not for a minute.
 */
export const DEFAULT_PENALTY: PenaltyConfig = {
  penaltyMs: 1_000,
  decayMs: 3_000,
  maxRetryAfterMs: 300_000,
};
