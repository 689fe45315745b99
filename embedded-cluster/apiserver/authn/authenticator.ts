import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { unauthorized } from '../errors.ts';
import type { UserInfo } from '../operations/core.ts';
import { SERVICE_ACCOUNT_ISSUER, type ServiceAccountTokens } from './service-account-tokens.ts';

const ANONYMOUS: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

/** Everyone who has proven who they are is in this group. */
const AUTHENTICATED = 'system:authenticated';

/** Everybody who has proved who they are is in `system:authenticated`. */
export function withAuthenticatedGroup(user: UserInfo): UserInfo {
  return user.groups.includes(AUTHENTICATED) ? user : { ...user, groups: [...user.groups, AUTHENTICATED] };
}

/**
 * Who sent a request: by client certificate (CN is the user, each O a group), else by bearer token, else nobody. Throws 401 for a token that is not valid: it
 * must not quietly become the anonymous user.
 */
export function authenticate(request: IncomingMessage, tokens: ServiceAccountTokens): UserInfo {
  const byCertificate = userOfCertificate(request);
  if (byCertificate !== undefined) return withAuthenticatedGroup(byCertificate);
  const { authorization } = request.headers;
  if (authorization === undefined) return ANONYMOUS;
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (token === undefined) throw unauthorized();
  const identity = tokens.verify(token);
  if (identity === undefined || !identity.audiences.includes(SERVICE_ACCOUNT_ISSUER)) throw unauthorized();
  return withAuthenticatedGroup(identity.user);
}

function userOfCertificate({ socket }: IncomingMessage): UserInfo | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  // An array where the subject has several.
  const { CN: name, O: organizations } = subject as { CN?: string | string[]; O?: string | string[] };
  const username = Array.isArray(name) ? name.at(-1) : name;
  if (username === undefined || username === '') return undefined;
  const groups =
    organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations];
  return { username, groups };
}
