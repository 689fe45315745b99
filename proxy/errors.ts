/**
 * The catalogue of everything that can go wrong with a request: cause -> status, code, log level. Nowhere else is a status made up.
 * Statuses as Linkerd's proxy gives them (fail-fast 504, load shed 503, connect 502, loop 508, unauthorised 403), RFC 9110 for the rest.
 */
export interface Cause {
  /** Stable code: shown in `l5d-proxy-error`, metrics and logs. */
  readonly code: string;
  /** HTTP status where a response can still be given. */
  readonly status: number;
  /** RFC 9113 section 7 error code for a stream reset. */
  readonly h2: number;
  /** `grpc-status` when the request was gRPC. */
  readonly grpc: number;
  readonly level: 'debug' | 'info' | 'warn';
}

function cause(code: string, status: number, h2: number, grpc: number, level: Cause['level']): Cause {
  return { code, status, h2, grpc, level };
}

export const causes = {
  /** The client closed or reset before the response ended. */
  clientGone: cause('client-gone', 499, 8, 1, 'debug'),
  badRequest: cause('bad-request', 400, 1, 13, 'info'),
  /** A transfer coding other than chunked (RFC 9112 section 6.1). */
  notImplemented: cause('not-implemented', 501, 1, 12, 'info'),
  headTooLarge: cause('head-too-large', 431, 11, 8, 'info'),
  protocolError: cause('protocol-error', 502, 1, 14, 'warn'),
  unauthorized: cause('unauthorized', 403, 8, 7, 'info'),
  rateLimited: cause('rate-limited', 429, 11, 8, 'info'),
  ownPort: cause('own-port', 403, 8, 7, 'warn'),
  notExported: cause('not-exported', 404, 8, 5, 'info'),
  /** There are routes, and none of them is for the request. */
  noRoute: cause('no-route', 404, 8, 5, 'info'),
  /** A route says that its requests fail; with which status is the route's to say. */
  injected: cause('injected', 500, 2, 13, 'info'),
  noSuchTarget: cause('no-such-target', 404, 8, 5, 'info'),
  gatewayLoop: cause('gateway-loop', 508, 8, 9, 'warn'),
  connectFailed: cause('connect-failed', 502, 7, 14, 'info'),
  peerRefused: cause('peer-refused', 502, 7, 14, 'warn'),
  /** The endpoint is not who the request demands by `l5d-require-id`: Linkerd's status. */
  identityRequired: cause('identity-required', 502, 8, 14, 'info'),
  upstreamReset: cause('upstream-reset', 502, 2, 14, 'info'),
  failFast: cause('fail-fast', 504, 7, 14, 'info'),
  discoveryFailed: cause('discovery-failed', 504, 7, 14, 'warn'),
  timeout: cause('timeout', 504, 8, 4, 'info'),
  /** Nobody sees it: a try is taken back, since another one follows. */
  retried: cause('retried', 503, 8, 14, 'debug'),
  stalled: cause('stalled', 408, 8, 4, 'info'),
  overloaded: cause('overloaded', 503, 11, 8, 'warn'),
  shuttingDown: cause('shutting-down', 503, 7, 14, 'info'),
  internal: cause('internal', 500, 2, 13, 'warn'),
} as const satisfies Record<string, Cause>;

/** What a client reads of a cause. */
export interface ToldStatus {
  /** Of HTTP. */
  readonly status: number;
  /** Undefined: the client does not speak gRPC. */
  readonly grpcStatus: number | undefined;
}

/** A call of gRPC hears why in gRPC's own words, below HTTP's 200: clients look no further where there is another status. */
export function toldStatus(cause: Cause, grpc: boolean): ToldStatus {
  return grpc ? { status: 200, grpcStatus: cause.grpc } : { status: cause.status, grpcStatus: undefined };
}
