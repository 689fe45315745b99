import { PROXY_PORTS } from '../../api/names.ts';
import { equalBytes } from '../bytes/bytes.ts';
import { causes, type Cause } from '../errors.ts';
import { spanText, type Span } from '../bytes/span.ts';

/** Longest host that can be a DNS name (RFC 1035 section 2.3.4), with the port. */
const MAX_LENGTH = 253 + 6;

const AUTHORITY = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

/** An authority that was good, and the bytes that it was written with. */
interface Known {
  readonly bytes: Buffer;
  readonly defaultPort: number | undefined;
  readonly authority: string;
}

/** Authorities that are remembered, by a hash of their bytes: apps name few, and each of them with every request. A power of two. */
const SLOTS = 256;
const known: (Known | undefined)[] = Array.from({ length: SLOTS });

/** `readAuthority` of bytes. What was read before costs a comparison: no string is made. */
export function readAuthorityOf(span: Span, defaultPort: number | undefined): string | Cause {
  const { buffer, start, end } = span;
  const slot = slotOf(buffer, start, end);
  const before = known[slot];
  if (
    before !== undefined &&
    before.defaultPort === defaultPort &&
    equalBytes(buffer, start, end, before.bytes)
  )
    return before.authority;
  const authority = readAuthority(spanText(span), defaultPort);
  if (typeof authority === 'string')
    known[slot] = { bytes: Buffer.from(buffer.subarray(start, end)), defaultPort, authority };
  return authority;
}

/** Bytes that the hash is made of. */
const HASHED = 32;

/** Names of one cluster end alike: the first bytes and the length tell them apart. */
function slotOf(buffer: Buffer, start: number, end: number): number {
  let hash = end - start;
  const behind = Math.min(end, start + HASHED);
  for (let i = start; i < behind; i++) hash = Math.imul(hash, 31) + (buffer[i] ?? 0);
  return hash & (SLOTS - 1);
}

/**
 * `host:port` in lower case of what an app named, without a trailing dot of the host. A cause when it is not usable, or names one of a proxy's own ports.
 * @param defaultPort for an authority without one; undefined: it must have one
 */
export function readAuthority(text: string, defaultPort: number | undefined): string | Cause {
  if (text.length > MAX_LENGTH) return causes.badRequest;
  const match = AUTHORITY.exec(text.toLowerCase());
  const host = match?.[1]?.replace(/\.$/, '');
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (host === undefined || host === '' || port === undefined) return causes.badRequest;
  if (port < 1 || port > 65_535) return causes.badRequest;
  if (PROXY_PORTS.has(port)) return causes.ownPort;
  return `${host}:${port}`;
}
