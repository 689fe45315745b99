/**
 * How Linkerd writes durations and retry conditions, in annotations (`timeout.linkerd.io/request: 300ms`) and in request headers (`l5d-retry-http: 5xx`) alike.
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A whole number with a unit (`ms`, `s`, `m`, `h`, `d`), or `0`. In ms; undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const match = /^([0-9]{1,10})(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  const [, count = '', unit = ''] = match;
  return Number(count) * (UNIT_MS[unit] ?? Number.NaN);
}

/** Both ends included. */
export type StatusRange = readonly [start: number, end: number];

/** One HTTP status, a range (`500-504`), `5xx` or `gateway-error`; undefined when the text is none of them. */
export function parseStatusRange(text: string): StatusRange | undefined {
  if (text === '5xx') return [500, 599];
  if (text === 'gateway-error') return [502, 504];
  const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(text);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2] ?? start);
  return end < start ? undefined : [start, end];
}

/** Codes of gRPC that may be retried, by the names that they are written by. */
export const GRPC_CONDITIONS: ReadonlyMap<string, number> = new Map([
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['internal', 13],
  ['resource-exhausted', 8],
  ['unavailable', 14],
]);
