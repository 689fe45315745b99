import type { Endpoint } from '../balance/endpoint.ts';
import { equalsIgnoreCase } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';

const REQUIRE_ID = Buffer.from('l5d-require-id');

/**
 * Whether an endpoint is who the request's `l5d-require-id` demands: the DNS identity or the SPIFFE ID of the workload
 * that is to answer; true of requests that demand nobody. The field goes on: a try at another endpoint is judged by it
 * again, and of an endpoint behind another cluster's gateway the gateway judges, since here only the gateway's own
 * identity is known. The app's sidecar takes it off.
 */
export function isRequired(head: Head, { identity, authorityOverride }: Endpoint): boolean {
  if (authorityOverride !== undefined) return true;
  for (let i = head.find(FieldId.l5dOther); i >= 0; i = head.find(FieldId.l5dOther, i + 1)) {
    if (!isRequireId(head.nameBuffer[i], head.nameStart[i], head.nameEnd[i])) continue;
    const wanted = head.value(i);
    if (identity === undefined || (wanted !== identity.dnsName && wanted !== identity.spiffeId)) return false;
  }
  return true;
}

/**
 * The workload that was demanded has the request: whom it asks in turn is another matter, also where it passes on what
 * it was sent. Linkerd's proxy takes the field off, too.
 */
export function removeRequiredIdentity(head: Head): void {
  if (head.find(FieldId.l5dOther) >= 0) head.removeNamed(isRequireId);
}

function isRequireId(buffer: Buffer | undefined, start = 0, end = 0): boolean {
  return buffer !== undefined && equalsIgnoreCase(buffer, start, end, REQUIRE_ID);
}
