import type { StatusRange } from '../../api/traffic-syntax.ts';

/** Bytes of a request's body that are kept to send it again: Linkerd's limit, which no policy raises, since what is kept is this proxy's memory. */
export const MAX_KEPT_BYTES = 65_536;

/** ms between attempts: Linkerd's. Full jitter, so that those who failed together do not come together again. */
export const DEFAULT_BACK_OFF: BackOffConfig = { minMs: 25, maxMs: 250, jitter: 1 };

export interface BackOffConfig {
  readonly minMs: number;
  readonly maxMs: number;
  /** Share of the time that is added at random, at most. */
  readonly jitter: number;
}

/** Which answers of a route are asked for again. Immutable. */
export interface RetryPolicy {
  readonly statuses: readonly StatusRange[];
  /** Codes of gRPC, a bit each. */
  readonly grpcCodes: number;
  /** Retries of one request. */
  readonly limit: number;
  /** Bytes of the request's body that are kept for it. */
  readonly maxBytes: number;
  /** ms that each attempt has for its answer's head; 0: no limit. */
  readonly attemptMs: number;
  readonly backOff: BackOffConfig;
}

/** Codes that gRPC knows are 0 to 16. */
const MAX_GRPC_CODE = 16;

/** @param status HTTP status of an answer, or the one that a failure is answered with */
export function retriesStatus({ statuses }: RetryPolicy, status: number): boolean {
  for (const [start, end] of statuses) if (status >= start && status <= end) return true;
  return false;
}

/** @param code value of `grpc-status` */
export function retriesGrpc({ grpcCodes }: RetryPolicy, code: string): boolean {
  const bit = Number(code);
  return bit > 0 && bit <= MAX_GRPC_CODE && (grpcCodes & (1 << bit)) !== 0;
}

/** A bit for each code. */
export function grpcCodes(codes: readonly number[]): number {
  return codes.reduce((bits, code) => (code > 0 && code <= MAX_GRPC_CODE ? bits | (1 << code) : bits), 0);
}

/** ms before attempt n (1 is the first retry). */
export function backOffMs(
  { minMs, maxMs, jitter }: BackOffConfig,
  attempt: number,
  random: () => number,
): number {
  const base = Math.min(maxMs, minMs * 2 ** (attempt - 1));
  return Math.min(maxMs, base * (1 + jitter * random()));
}
