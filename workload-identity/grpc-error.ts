/** gRPC status codes (grpc/doc/statuscodes.md). */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type GrpcCode = (typeof grpcStatus)[keyof typeof grpcStatus];

const names = new Map<number, string>(Object.entries(grpcStatus).map(([name, code]) => [code, name]));

/** A call that ended with a status other than OK; made by the client for what it got, and thrown by handlers for what they answer. */
export class GrpcError extends Error {
  readonly code: GrpcCode;
  /** The status' text without the code's name, as it goes over the wire. */
  readonly details: string;

  constructor(code: GrpcCode, details: string, options?: ErrorOptions) {
    super(`${names.get(code) ?? code}: ${details}`, options);
    this.name = 'GrpcError';
    this.code = code;
    this.details = details;
  }
}

/** A status code from the wire; codes that gRPC does not know count as unknown. */
export function toGrpcCode(value: number): GrpcCode {
  return names.has(value) ? (value as GrpcCode) : grpcStatus.unknown;
}
