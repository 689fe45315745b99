import { causes, type Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import type { Outcome } from './failure-accrual.ts';

/** As Linkerd counts: DEADLINE_EXCEEDED, PERMISSION_DENIED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_FAILURES: ReadonlySet<string> = new Set(['4', '7', '13', '14', '15']);
const GRPC_RESOURCE_EXHAUSTED = '8';

/** @param grpcStatus value of `grpc-status` where it is known */
export function outcomeOf(status: number, grpcStatus: string | undefined): Outcome {
  if (status >= 500) return 'failure';
  if (status === 429 || grpcStatus === GRPC_RESOURCE_EXHAUSTED) return 'limited';
  return grpcStatus !== undefined && GRPC_FAILURES.has(grpcStatus) ? 'failure' : 'success';
}

/**
 * What a gateway answers by itself. Everything else that comes through one, its 5xx too, is the word of an app in the
 * other cluster: a source that left a gateway alone for it would lose the whole cluster for one bad service
 * (decision 0011).
 */
const GATEWAYS_OWN: ReadonlySet<string> = new Set(
  [causes.shuttingDown, causes.overloaded, causes.internal, causes.peerRefused].map(({ code }) => code),
);

/** @param head an answer that came through a gateway */
export function gatewayOutcome(head: Head): Outcome {
  const at = head.find(FieldId.l5dProxyError);
  return at >= 0 && GATEWAYS_OWN.has(head.value(at)) ? 'failure' : 'success';
}

/** Does a request that ended so speak against the endpoint? A client that left or did not read does not. */
export function isEndpointsFault(cause: Cause): boolean {
  return cause === causes.upstreamReset || cause === causes.protocolError || cause === causes.timeout;
}

/** The same of a request that went through a gateway. A gateway that resets a stream goes on: it tells what became of an app behind it. */
export function isGatewaysFault(x: Exchange, cause: Cause): boolean {
  return isEndpointsFault(cause) && x.resetCode === 0;
}

/** ms that a server asks to be left alone: `grpc-retry-pushback-ms`, or `Retry-After` in seconds or as a date. 0: it does not. @param wallNow ms since 1970 */
export function retryAfterMs(head: Head, wallNow: number): number {
  const pushback = head.find(FieldId.grpcRetryPushback);
  if (pushback >= 0) return atLeastZero(Number(head.value(pushback)));
  const at = head.find(FieldId.retryAfter);
  if (at < 0) return 0;
  const value = head.value(at);
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1_000;
  return atLeastZero(Date.parse(value) - wallNow);
}

function atLeastZero(ms: number): number {
  return ms > 0 ? ms : 0;
}
