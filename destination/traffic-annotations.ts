import { GRPC_CONDITIONS, parseDuration, parseStatusRange, type StatusRange } from '../api/traffic-syntax.ts';

/** What a Service's annotations ask of its clients. Times in ms; 0 stands for "not limited". */
export interface TrafficSettings {
  readonly timeouts: { readonly request: number; readonly response: number; readonly idle: number };
  readonly retry: RetrySettings | undefined;
  readonly accrual: AccrualSettings | undefined;
  /** Settings of the balancer's penalty for endpoints that fail; undefined: the proxy's own. */
  readonly penalty: { readonly penaltyMs: number; readonly maxRetryAfterMs: number } | undefined;
  /** Clients may set timeouts and retries by request (`l5d-timeout`, `l5d-retry-…`). */
  readonly requestHeaders: boolean;
  /** Annotations that mean nothing, each with what it must be; they are passed over. */
  readonly problems: readonly string[];
}

export interface RetrySettings {
  readonly statuses: readonly StatusRange[];
  readonly grpcCodes: readonly number[];
  readonly limit: number;
  readonly timeout: number;
}

export interface AccrualSettings {
  readonly maxFailures: number;
  readonly minPenalty: number;
  readonly maxPenalty: number;
  readonly jitter: number;
  readonly honourRetryAfter: boolean;
  /** Undefined: only failures in a row count. */
  readonly successRate:
    | { readonly threshold: number; readonly window: number; readonly minRequests: number }
    | undefined;
}

const RETRY = 'retry.linkerd.io';
const TIMEOUT = 'timeout.linkerd.io';
const ACCRUAL = 'balancer.linkerd.io/failure-accrual';
const ALPHA = 'balancer.alpha.linkerd.io';
/** Ours: Linkerd has it for a whole installation only, where one app that takes requests from outside forbids it to all. */
const REQUEST_HEADERS = 'config.isthmus.dev/allow-l5d-request-headers';

/** Linkerd's defaults. */
const DEFAULT_RETRY_LIMIT = 1;
const DEFAULT_MAX_FAILURES = 7;
const DEFAULT_MIN_PENALTY = 1_000;
const DEFAULT_MAX_PENALTY = 60_000;
const DEFAULT_JITTER = 0.5;
const DEFAULT_THRESHOLD = 0.8;
const DEFAULT_WINDOW = 10_000;
const DEFAULT_MIN_REQUESTS = 5;
const DEFAULT_BIAS_PENALTY = 5_000;
const DEFAULT_MAX_RETRY_AFTER = 300_000;

/** Reads Linkerd's annotations for retries, timeouts, failure accrual and the load biaser. What is wrong counts as absent, and is told. */
export function trafficSettings(annotations: Readonly<Record<string, string>> | undefined): TrafficSettings {
  const read = new Reader(annotations ?? {});
  const settings = {
    timeouts: {
      request: read.duration(`${TIMEOUT}/request`, 0),
      response: read.duration(`${TIMEOUT}/response`, 0),
      idle: read.duration(`${TIMEOUT}/idle`, 0),
    },
    retry: readRetry(read),
    accrual: readAccrual(read),
    penalty: readPenalty(read),
    requestHeaders: read.flag(REQUEST_HEADERS),
  };
  return { ...settings, problems: read.problems };
}

function readRetry(read: Reader): RetrySettings | undefined {
  const statuses = read.list(
    `${RETRY}/http`,
    parseStatusRange,
    'statuses such as 5xx, gateway-error, 503, 500-504',
  );
  const grpcCodes = read.list(
    `${RETRY}/grpc`,
    (name) => GRPC_CONDITIONS.get(name),
    `some of ${[...GRPC_CONDITIONS.keys()].join(', ')}`,
  );
  const limit = read.integer(`${RETRY}/limit`, DEFAULT_RETRY_LIMIT);
  const timeout = read.duration(`${RETRY}/timeout`, 0);
  if (statuses.length + grpcCodes.length === 0 || limit === 0) return undefined;
  return { statuses, grpcCodes, limit, timeout };
}

function readAccrual(read: Reader): AccrualSettings | undefined {
  const mode = read.text(ACCRUAL);
  if (mode === undefined) return undefined;
  if (mode !== 'consecutive' && mode !== 'unified') {
    read.wrong(ACCRUAL, mode, 'consecutive or unified');
    return undefined;
  }
  const minPenalty =
    read.duration(`${ACCRUAL}-consecutive-min-penalty`, DEFAULT_MIN_PENALTY) || DEFAULT_MIN_PENALTY;
  const maxPenalty = read.duration(`${ACCRUAL}-consecutive-max-penalty`, DEFAULT_MAX_PENALTY);
  return {
    maxFailures:
      read.integer(`${ACCRUAL}-consecutive-max-failures`, DEFAULT_MAX_FAILURES) || DEFAULT_MAX_FAILURES,
    minPenalty,
    maxPenalty: Math.max(minPenalty, maxPenalty),
    jitter: read.number(`${ACCRUAL}-consecutive-jitter-ratio`, DEFAULT_JITTER, 100),
    honourRetryAfter: read.flag(`${ALPHA}/failure-accrual-honor-retry-after`),
    successRate:
      mode === 'consecutive'
        ? undefined
        : {
            threshold: read.number(`${ALPHA}/failure-accrual-success-rate-threshold`, DEFAULT_THRESHOLD, 1),
            window:
              read.duration(`${ALPHA}/failure-accrual-success-rate-window`, DEFAULT_WINDOW) || DEFAULT_WINDOW,
            minRequests: read.integer(
              `${ALPHA}/failure-accrual-success-rate-min-requests`,
              DEFAULT_MIN_REQUESTS,
            ),
          },
  };
}

function readPenalty(read: Reader): TrafficSettings['penalty'] {
  if (!read.flag(`${ALPHA}/penalize-failures`)) return undefined;
  return {
    penaltyMs: read.duration(`${ALPHA}/load-biaser-penalty`, DEFAULT_BIAS_PENALTY),
    maxRetryAfterMs: read.duration(`${ALPHA}/load-biaser-max-retry-after`, DEFAULT_MAX_RETRY_AFTER),
  };
}

/** Reads annotations; what is wrong counts as absent and is kept as a problem. */
class Reader {
  readonly problems: string[] = [];
  readonly #annotations: Readonly<Record<string, string>>;

  constructor(annotations: Readonly<Record<string, string>>) {
    this.#annotations = annotations;
  }

  text(name: string): string | undefined {
    const text = this.#annotations[name]?.trim();
    return text === '' ? undefined : text;
  }

  wrong(name: string, value: string, must: string): void {
    this.problems.push(`${name} is ${JSON.stringify(value)}: it must be ${must}`);
  }

  duration(name: string, fallback: number): number {
    return this.#read(name, fallback, parseDuration, 'a duration such as 300ms or 5s');
  }

  integer(name: string, fallback: number): number {
    const parse = (text: string): number | undefined =>
      /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
    return this.#read(name, fallback, parse, 'a whole number');
  }

  number(name: string, fallback: number, max: number): number {
    const parse = (text: string): number | undefined => {
      const value = Number(text);
      return /^[0-9.]+$/.test(text) && value <= max ? value : undefined;
    };
    return this.#read(name, fallback, parse, `a number from 0 to ${max}`);
  }

  flag(name: string): boolean {
    const parse = (text: string): boolean | undefined =>
      text === 'true' ? true : text === 'false' ? false : undefined;
    return this.#read(name, false, parse, 'true or false');
  }

  /** A comma list; wrong members are left out. */
  list<T>(name: string, parse: (text: string) => T | undefined, must: string): T[] {
    const found: T[] = [];
    for (const part of this.text(name)?.split(',') ?? []) {
      const value = parse(part.trim());
      if (value === undefined) this.wrong(name, part.trim(), must);
      else found.push(value);
    }
    return found;
  }

  #read<T>(name: string, fallback: T, parse: (text: string) => T | undefined, must: string): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = parse(text);
    if (value === undefined) this.wrong(name, text, must);
    return value ?? fallback;
  }
}
