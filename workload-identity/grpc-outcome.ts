import { GrpcError, grpcStatus, toGrpcCode } from './grpc-error.ts';
import type { Fields, StreamEnd } from './http2.ts';

/** What headers or trailers say of a call; undefined: nothing. */
export type Outcome = GrpcError | 'ok' | undefined;

const HTTP2_REFUSED_STREAM = 7;
const HTTP2_CANCEL = 8;

/** What a response head says: in "Trailers-Only" all, otherwise whether this is gRPC at all. */
export function outcomeOfHead(status: number, fields: Fields): Outcome {
  if (fields('grpc-status') !== undefined) return outcomeOfTrailers(fields);
  if (status !== 200) return fromHttpStatus(status);
  const type = fields('content-type');
  if (type?.startsWith('application/grpc') === true) return undefined;
  return new GrpcError(grpcStatus.unknown, `the peer does not speak gRPC: content-type ${type ?? 'missing'}`);
}

export function outcomeOfTrailers(fields: Fields): Outcome {
  const value = Number(fields('grpc-status') ?? Number.NaN);
  if (value === grpcStatus.ok) return 'ok';
  return new GrpcError(toGrpcCode(value), decodeMessage(fields('grpc-message') ?? ''));
}

/** What a stream means that ended without a status (grpc/doc/PROTOCOL-HTTP2.md, "Errors"). */
export function outcomeOfEnd(end: StreamEnd): GrpcError {
  if (end.kind === 'lost') return new GrpcError(grpcStatus.unavailable, end.reason);
  switch (end.code) {
    case HTTP2_CANCEL:
      return new GrpcError(grpcStatus.cancelled, 'the peer cancelled the stream');
    case 0:
    case HTTP2_REFUSED_STREAM:
      return new GrpcError(grpcStatus.unavailable, 'the stream ended without a status');
    default:
      return new GrpcError(grpcStatus.unavailable, `the stream was reset with code ${end.code}`);
  }
}

/** grpc/doc/http-grpc-status-mapping.md. */
function fromHttpStatus(status: number): GrpcError {
  const details = `HTTP status ${status} instead of a gRPC answer`;
  switch (status) {
    case 400:
      return new GrpcError(grpcStatus.internal, details);
    case 401:
      return new GrpcError(grpcStatus.unauthenticated, details);
    case 403:
      return new GrpcError(grpcStatus.permissionDenied, details);
    case 404:
      return new GrpcError(grpcStatus.unimplemented, details);
    case 429:
    case 502:
    case 503:
    case 504:
      return new GrpcError(grpcStatus.unavailable, details);
    default:
      return new GrpcError(grpcStatus.unknown, details);
  }
}

/** `grpc-message` is percent-encoded UTF-8; a broken encoding is shown as it is. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
