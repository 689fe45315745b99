import { equalBytes } from '../bytes/bytes.ts';
import type { Span } from '../bytes/span.ts';

/** RFC 9110 section 9.2.2, the usual ones first. */
const IDEMPOTENT = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'].map((name) => Buffer.from(name));

/** Whether a request of this method may be sent again where nobody knows if it was processed. */
export function isIdempotent({ buffer, start, end }: Span): boolean {
  for (const method of IDEMPOTENT) if (equalBytes(buffer, start, end, method)) return true;
  return false;
}
