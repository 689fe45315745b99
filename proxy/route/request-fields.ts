import { GRPC_CONDITIONS, parseDuration, parseStatusRange } from '../../api/traffic-syntax.ts';
import { equalsIgnoreCase } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Route, Timeouts } from './outbound-rules.ts';
import { DEFAULT_BACK_OFF, grpcCodes, MAX_KEPT_BYTES, type RetryPolicy } from './retry-policy.ts';

/** Retries that a request may ask for: each holds its body, and comes out of the budget anyway. */
const MAX_LIMIT = 10;

const NAMES = {
  timeout: Buffer.from('l5d-timeout'),
  requestTimeout: Buffer.from('l5d-request-timeout'),
  responseTimeout: Buffer.from('l5d-response-timeout'),
  retryHttp: Buffer.from('l5d-retry-http'),
  retryGrpc: Buffer.from('l5d-retry-grpc'),
  retryLimit: Buffer.from('l5d-retry-limit'),
  retryTimeout: Buffer.from('l5d-retry-timeout'),
} as const;
type Name = keyof typeof NAMES;
const ALL = Object.entries(NAMES) as [Name, Buffer][];

/**
 * Takes the fields by which a request sets its own limits out of the head: they are for us alone.
 * @returns the route with what they say, or as it is where it does not allow them or there are none. Fields that cannot be read count as absent.
 */
export function takeRequestFields(head: Head, route: Route): Route {
  if (head.find(FieldId.l5dOther) < 0) return route;
  const found = take(head);
  if (found === undefined || !route.requestHeaders) return route;
  return { ...route, timeouts: timeoutsOf(found, route.timeouts), retry: retryOf(found, route.retry) };
}

/** ms that a head gives its answer: `grpc-timeout` or what came with an `isthmus/1` stream, whichever is less; 0: it does not say. */
export function toldTimeout(head: Head): number {
  const grpc = head.find(FieldId.grpcTimeout);
  const told = head.find(FieldId.isthmusTimeout);
  const grpcMs = grpc < 0 ? 0 : parseGrpcTimeout(head.value(grpc));
  const toldMs = told < 0 ? 0 : parseMs(head.value(told));
  return grpcMs > 0 && toldMs > 0 ? Math.min(grpcMs, toldMs) : grpcMs || toldMs;
}

const GRPC_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** `grpc-timeout` (gRPC over HTTP/2): up to 8 digits and a unit. In ms; 0 when it is none. */
export function parseGrpcTimeout(text: string): number {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text);
  if (match === null) return 0;
  const [, count = '', unit = ''] = match;
  return Number(count) * (GRPC_UNIT_MS[unit] ?? 0);
}

/** @param ms more than 0 */
export function formatGrpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.floor(ms));
  return whole < 100_000_000 ? `${whole}m` : `${Math.min(99_999_999, Math.floor(whole / 1_000))}S`;
}

function parseMs(text: string): number {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
}

type Found = Partial<Record<Name, string>>;

function take(head: Head): Found | undefined {
  let found: Found | undefined;
  for (let i = head.find(FieldId.l5dOther); i >= 0; i = head.find(FieldId.l5dOther, i + 1)) {
    const name = nameOf(head.nameBuffer[i], head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0);
    if (name === undefined) continue;
    found ??= {};
    found[name] = head.value(i);
  }
  if (found !== undefined) head.removeNamed((name, start, end) => nameOf(name, start, end) !== undefined);
  return found;
}

function nameOf(buffer: Buffer | undefined, start: number, end: number): Name | undefined {
  if (buffer === undefined) return undefined;
  for (const [name, bytes] of ALL) if (equalsIgnoreCase(buffer, start, end, bytes)) return name;
  return undefined;
}

function timeoutsOf(found: Found, timeouts: Timeouts): Timeouts {
  return {
    ...timeouts,
    request: durationOf(found.timeout ?? found.requestTimeout) ?? timeouts.request,
    response: durationOf(found.responseTimeout) ?? timeouts.response,
  };
}

function retryOf(found: Found, retry: RetryPolicy | undefined): RetryPolicy | undefined {
  const statuses = statusesOf(found.retryHttp) ?? retry?.statuses ?? [];
  const codes = codesOf(found.retryGrpc) ?? retry?.grpcCodes ?? 0;
  if (statuses.length + codes === 0) return undefined;
  return {
    statuses,
    grpcCodes: codes,
    limit: Math.min(MAX_LIMIT, limitOf(found.retryLimit) ?? retry?.limit ?? 1),
    maxBytes: retry?.maxBytes ?? MAX_KEPT_BYTES,
    attemptMs: durationOf(found.retryTimeout) ?? retry?.attemptMs ?? 0,
    backOff: retry?.backOff ?? DEFAULT_BACK_OFF,
  };
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function limitOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined;
}

function codesOf(text: string | undefined): number | undefined {
  return text === undefined
    ? undefined
    : grpcCodes(text.split(',').map((name) => GRPC_CONDITIONS.get(name.trim()) ?? 0));
}

function statusesOf(text: string | undefined): RetryPolicy['statuses'] | undefined {
  return text?.split(',').flatMap((part) => {
    const range = parseStatusRange(part.trim());
    return range === undefined ? [] : [range];
  });
}
