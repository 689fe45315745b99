import { isIP } from 'node:net';
import { causes, type Cause } from '../errors.ts';
import { equalsIgnoreCase } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import { readAuthority } from './authority.ts';

const DST_OVERRIDE = Buffer.from('l5d-dst-override');
/** Of a name without one, as at Linkerd. */
const HTTP_PORT = 80;

/**
 * The target that an ingress controller names with a request, `service.namespace:port`, and takes the field out: the
 * app has no business with it. Undefined: it names none. As at Linkerd it must be a name: by address an ingress could
 * be made to ask whatever it reaches. More than one is refused, since one of them may be a client's.
 */
export function takeOverride(head: Head): string | Cause | undefined {
  let named: string | Cause | undefined;
  for (let i = head.find(FieldId.l5dOther); i >= 0; i = head.find(FieldId.l5dOther, i + 1)) {
    if (isOverride(head.nameBuffer[i], head.nameStart[i], head.nameEnd[i]))
      named = named === undefined ? nameOf(head.value(i)) : causes.badRequest;
  }
  if (named !== undefined) head.removeNamed(isOverride);
  return named;
}

function isOverride(buffer: Buffer | undefined, start = 0, end = 0): boolean {
  return buffer !== undefined && equalsIgnoreCase(buffer, start, end, DST_OVERRIDE);
}

function nameOf(text: string): string | Cause {
  const authority = readAuthority(text.trim(), HTTP_PORT);
  if (typeof authority !== 'string') return authority;
  const host = authority.slice(0, authority.lastIndexOf(':'));
  return host.startsWith('[') || isIP(host) !== 0 ? causes.badRequest : authority;
}
