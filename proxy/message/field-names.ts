import { isToken } from '../bytes/characters.ts';
import { FieldId } from './field-id.ts';

/**
 * Names of the fields that layers look for, by id. The `isthmus` ones are pseudo-headers: only the HTTP/2 codec may
 * meet them. Who the client is has several: apps behind CGI, WSGI or PHP read `-` and `_` in a name as the same, and
 * would take a client's own word for ours.
 */
const NAMES: readonly (readonly [FieldId, string])[] = [
  [FieldId.host, 'host'],
  [FieldId.contentLength, 'content-length'],
  [FieldId.transferEncoding, 'transfer-encoding'],
  [FieldId.connection, 'connection'],
  [FieldId.upgrade, 'upgrade'],
  [FieldId.expect, 'expect'],
  [FieldId.te, 'te'],
  [FieldId.trailer, 'trailer'],
  [FieldId.keepAlive, 'keep-alive'],
  [FieldId.proxyConnection, 'proxy-connection'],
  [FieldId.proxyAuthorization, 'proxy-authorization'],
  [FieldId.proxyAuthenticate, 'proxy-authenticate'],
  [FieldId.l5dClientId, 'l5d-client-id'],
  [FieldId.l5dClientId, 'l5d_client_id'],
  [FieldId.l5dClientId, 'l5d_client-id'],
  [FieldId.l5dClientId, 'l5d-client_id'],
  [FieldId.forwarded, 'forwarded'],
  [FieldId.l5dProxyError, 'l5d-proxy-error'],
  [FieldId.contentType, 'content-type'],
  [FieldId.grpcStatus, 'grpc-status'],
  [FieldId.cookie, 'cookie'],
  [FieldId.isthmusPort, ':isthmus-port'],
  [FieldId.isthmusTarget, ':isthmus-target'],
  [FieldId.isthmusClient, ':isthmus-client'],
  [FieldId.isthmusProtocol, ':isthmus-protocol'],
  [FieldId.isthmusTimeout, ':isthmus-timeout'],
  [FieldId.grpcTimeout, 'grpc-timeout'],
  [FieldId.grpcRetryPushback, 'grpc-retry-pushback-ms'],
  [FieldId.retryAfter, 'retry-after'],
  [FieldId.userAgent, 'user-agent'],
  [FieldId.traceparent, 'traceparent'],
  [FieldId.tracestate, 'tracestate'],
  [FieldId.b3, 'b3'],
  [FieldId.b3TraceId, 'x-b3-traceid'],
  [FieldId.b3SpanId, 'x-b3-spanid'],
  [FieldId.b3ParentSpanId, 'x-b3-parentspanid'],
  [FieldId.b3Sampled, 'x-b3-sampled'],
  [FieldId.b3Flags, 'x-b3-flags'],
  [FieldId.requestId, 'x-request-id'],
  [FieldId.amznTraceId, 'x-amzn-trace-id'],
];

interface Known {
  id: FieldId;
  name: Buffer;
}

/** Known names by length and first letter, of which `slotOf` makes an index: one candidate is left, seldom two. */
const LONGEST = Math.max(...NAMES.map(([, name]) => name.length));
const candidates: (Known[] | undefined)[] = Array.from({ length: (LONGEST + 1) * 32 });
for (const [id, text] of NAMES) {
  const name = Buffer.from(text);
  (candidates[slotOf(name[0] ?? 0, name.length)] ??= []).push({ id, name });
}

/** Letters of either case have the same low five bits. */
function slotOf(first: number, length: number): number {
  return length * 32 + (first & 31);
}

const L5D_PREFIX = Buffer.from('l5d-');

/** Compares ASCII without regard to case; `lower` is lower case. */
export function equalsIgnoreCase(buffer: Buffer, start: number, end: number, lower: Buffer): boolean {
  if (end - start !== lower.length) return false;
  return startsIgnoreCase(buffer, start, lower);
}

function startsIgnoreCase(buffer: Buffer, start: number, lower: Buffer): boolean {
  for (let i = 0; i < lower.length; i++) {
    let c = buffer[start + i] ?? 0;
    if (c >= 65 && c <= 90) c |= 32;
    if (c !== lower[i]) return false;
  }
  return true;
}

/** Which of the known fields `buffer[start, end)` names, in any case. */
export function fieldIdOf(buffer: Buffer, start: number, end: number): FieldId {
  const length = end - start;
  const known = candidates[slotOf(buffer[start] ?? 0, length)];
  if (known !== undefined) {
    for (const { id, name } of known) {
      if (name.length === length && startsIgnoreCase(buffer, start, name)) return id;
    }
  }
  return length > L5D_PREFIX.length && startsIgnoreCase(buffer, start, L5D_PREFIX)
    ? FieldId.l5dOther
    : FieldId.other;
}

/** Fields of one connection, which no codec passes on (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2), and credentials meant for a proxy. */
export function isHopByHop(id: FieldId): boolean {
  switch (id) {
    case FieldId.connection:
    case FieldId.transferEncoding:
    case FieldId.upgrade:
    case FieldId.keepAlive:
    case FieldId.proxyConnection:
    case FieldId.proxyAuthorization:
    case FieldId.proxyAuthenticate:
      return true;
    default:
      return false;
  }
}

/** The field is one of ours that only travels inside `isthmus/1`. */
export function isIsthmusField(id: FieldId): boolean {
  return id >= FieldId.isthmusPort && id <= FieldId.isthmusTimeout;
}

const H2C = Buffer.from('h2c');

/**
 * Whether a request may leave HTTP for what the Upgrade field names: one protocol, by name alone. Several to choose
 * from are not offered further, nor is `h2c`: behind it HTTP would go on where nobody routes or judges it. RFC 9110
 * section 7.8 allows to ignore any.
 */
export function mayUpgradeTo(buffer: Buffer, start: number, end: number): boolean {
  return isToken(buffer, start, end) && !equalsIgnoreCase(buffer, start, end, H2C);
}

const APPLICATION_GRPC = Buffer.from('application/grpc');

/** The message's content type is gRPC: errors are told by `grpc-status` then. */
export function isGrpc(buffer: Buffer, start: number, end: number): boolean {
  return end - start >= APPLICATION_GRPC.length && startsIgnoreCase(buffer, start, APPLICATION_GRPC);
}
