import { PROXY_PORTS } from '../../api/names.ts';
import { causes, type Cause } from '../errors.ts';

/** Longest host that can be a DNS name (RFC 1035 section 2.3.4), with the port. */
const MAX_LENGTH = 253 + 6;

const AUTHORITY = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

/** Authorities that were good, by what was written, for each default port: apps name few, and each of them with every request. */
const good = new Map<number | undefined, Map<string, string>>();
/** Apps choose the names, so their number must have an end: then all are forgotten. */
const MAX_REMEMBERED = 1_024;

/**
 * `host:port` in lower case of what an app named, without a trailing dot of the host. A cause when it is not usable, or names one of a proxy's own ports.
 * @param defaultPort for an authority without one; undefined: it must have one
 */
export function readAuthority(text: string, defaultPort: number | undefined): string | Cause {
  const remembered = good.get(defaultPort);
  const known = remembered?.get(text);
  if (known !== undefined) return known;
  const authority = parseAuthority(text, defaultPort);
  if (typeof authority !== 'string') return authority;
  if (remembered === undefined || remembered.size >= MAX_REMEMBERED)
    good.set(defaultPort, new Map([[text, authority]]));
  else remembered.set(text, authority);
  return authority;
}

function parseAuthority(text: string, defaultPort: number | undefined): string | Cause {
  if (text.length > MAX_LENGTH) return causes.badRequest;
  const match = AUTHORITY.exec(text.toLowerCase());
  const host = match?.[1]?.replace(/\.$/, '');
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (host === undefined || host === '' || port === undefined) return causes.badRequest;
  if (port < 1 || port > 65_535) return causes.badRequest;
  if (PROXY_PORTS.has(port)) return causes.ownPort;
  return `${host}:${port}`;
}
