import { FieldId, type Head } from '../message.ts';

/** As Linkerd classifies: a response fails by 5xx or by a `grpc-status` other than 0, wherever it stands. */
export function isFailure(status: number, grpcStatus: string | undefined): boolean {
  return status >= 500 || (grpcStatus !== undefined && grpcStatus !== '0');
}

/** `grpc-status` of a head or of trailers. */
export function grpcStatusOf(head: Head): string | undefined {
  const at = head.find(FieldId.grpcStatus);
  return at < 0 ? undefined : head.value(at);
}
