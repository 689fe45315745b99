import { parseDecimal } from '../bytes/characters.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';

/** There is no `grpc-status`. */
export const NO_GRPC_STATUS = -1;
/** The highest of gRPC's status codes. */
export const MAX_GRPC_STATUS = 16;
/** What gRPC calls a status that is none of its own. */
const UNKNOWN = 2;

/** As Linkerd classifies: a response fails by 5xx or by a `grpc-status` other than 0, wherever it stands. */
export function isFailure(status: number, grpcStatus: number): boolean {
  return status >= 500 || grpcStatus > 0;
}

/** `grpc-status` of a head or of trailers. */
export function grpcStatusOf(head: Head): string | undefined {
  const at = head.find(FieldId.grpcStatus);
  return at < 0 ? undefined : head.value(at);
}

/**
 * The same as a number, one of gRPC's codes (0 to 16) whatever stands there, so that labels are few; `NO_GRPC_STATUS`
 * where there is none.
 */
export function grpcCodeOf(head: Head): number {
  const at = head.find(FieldId.grpcStatus);
  // Before the look: an array asked for what lies before it takes a detour through the runtime.
  const value = at < 0 ? undefined : head.valueBuffer[at];
  if (value === undefined) return NO_GRPC_STATUS;
  const code = parseDecimal(value, head.valueStart[at] ?? 0, head.valueEnd[at] ?? 0);
  return code < 0 || code > MAX_GRPC_STATUS ? UNKNOWN : code;
}
