import type { StoredObject } from '../../types.ts';
import { badRequest } from '../errors.ts';
import { valueAt } from '../json.ts';
import { timestamp, type UserInfo } from '../operations/core.ts';
import type { PostHandler } from '../operations/verbs.ts';
import { withAuthenticatedGroup } from './authenticator.ts';
import { SERVICE_ACCOUNT_ISSUER, type ServiceAccountTokens } from './service-account-tokens.ts';

function userStatus(user: UserInfo): object {
  const { username, uid, groups, extra } = user;
  return {
    username,
    ...(uid === undefined ? {} : { uid }),
    groups,
    ...(extra === undefined || Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** TokenReview and SelfSubjectReview of authentication.k8s.io/v1. */
export function authenticationReviews(
  tokens: ServiceAccountTokens,
  now: () => number,
): [string, PostHandler][] {
  return [
    ['tokenreviews.authentication.k8s.io', async (_call, input) => reviewToken(tokens, input)],
    [
      'selfsubjectreviews.authentication.k8s.io',
      async ({ user }) => ({
        kind: 'SelfSubjectReview',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { creationTimestamp: timestamp(now()) },
        status: { userInfo: userStatus(user) },
      }),
    ],
  ];
}

function reviewToken(tokens: ServiceAccountTokens, input: unknown): StoredObject {
  const token = valueAt(input, 'spec.token');
  if (typeof token !== 'string' || token === '')
    throw badRequest('token is required for TokenReview in authentication');
  const asked = valueAt(input, 'spec.audiences');
  const wanted = Array.isArray(asked) && asked.length > 0 ? asked.map(String) : [SERVICE_ACCOUNT_ISSUER];
  // The token itself is a credential and goes into no answer beyond the spec, which the caller has sent.
  const spec = { token, ...(Array.isArray(asked) && asked.length > 0 ? { audiences: wanted } : {}) };
  const identity = tokens.verify(token);
  if (identity === undefined) return review(spec, { user: {}, error: 'invalid bearer token' });
  const audiences = wanted.filter((audience) => identity.audiences.includes(audience));
  if (audiences.length === 0) {
    const list = (values: readonly string[]): string =>
      `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
    return review(spec, {
      user: {},
      error: `[invalid bearer token, token audiences ${list(identity.audiences)} is invalid for the target audiences ${list(wanted)}]`,
    });
  }
  return review(spec, {
    authenticated: true,
    user: userStatus(withAuthenticatedGroup(identity.user)),
    audiences,
  });
}

function review(spec: object, status: object): StoredObject {
  return { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec, status };
}
