import type { IncomingHttpHeaders } from 'node:http';
import type { Attributes } from '../authz/authorizer.ts';
import { badRequest } from '../errors.ts';
import type { UserInfo } from '../operations/core.ts';
import { withAuthenticatedGroup } from './authenticator.ts';

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** `kubectl --as`: the user to act as, after `require` has let `user` impersonate each part of them (it throws 403). Throws 400 for groups without a user. */
export function impersonate(
  headers: IncomingHttpHeaders,
  user: UserInfo,
  require: (attributes: Attributes) => void,
): UserInfo {
  const username = headers['impersonate-user'];
  if (typeof username !== 'string' || username === '') {
    const others = Object.keys(headers).filter((name) => name.startsWith('impersonate-'));
    if (others.length === 0) return user;
    // Otherwise the request would run with more rights than was asked for.
    throw badRequest(`requested ${others.join(', ')} without impersonating a user`);
  }
  const groups = groupsOf(headers['impersonate-group']);
  const [account, namespace = '', name = ''] = SERVICE_ACCOUNT.exec(username) ?? [];
  const target = { kind: 'resource' as const, user, verb: 'impersonate', group: '', subresource: '' };
  if (account === undefined) require({ ...target, resource: 'users', namespace: '', name: username });
  else require({ ...target, resource: 'serviceaccounts', namespace, name });
  for (const entry of groups) require({ ...target, resource: 'groups', namespace: '', name: entry });
  if (groups.length === 0 && account !== undefined) {
    groups.push('system:serviceaccounts', `system:serviceaccounts:${namespace}`);
  }
  if (username === 'system:anonymous') {
    return { username, groups: groups.length === 0 ? ['system:unauthenticated'] : groups };
  }
  return withAuthenticatedGroup({ username, groups });
}

/** Node joins a header that comes several times with commas. */
function groupsOf(header: string | string[] | undefined): string[] {
  const joined = Array.isArray(header) ? header.join(',') : (header ?? '');
  return joined
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
