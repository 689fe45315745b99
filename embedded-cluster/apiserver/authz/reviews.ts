import type { StoredObject } from '../../types.ts';
import { badRequest } from '../errors.ts';
import { isObject, type JsonObject, valueAt, text } from '../json.ts';
import type { UserInfo } from '../operations/core.ts';
import type { PostHandler } from '../operations/verbs.ts';
import type { Attributes } from './authorizer.ts';
import type { RbacAuthorizer } from './rbac.ts';
import type { PolicyRule } from './rules.ts';

const API_VERSION = 'authorization.k8s.io/v1';

/** The reviews of authorization.k8s.io/v1: `kubectl auth can-i`, and what servers behind this one ask. */
export function authorizationReviews(authorizer: RbacAuthorizer): [string, PostHandler][] {
  return [
    [
      'selfsubjectaccessreviews.authorization.k8s.io',
      async ({ user }, input) => review(authorizer, 'SelfSubjectAccessReview', input, user),
    ],
    [
      'subjectaccessreviews.authorization.k8s.io',
      async (_call, input) => review(authorizer, 'SubjectAccessReview', input, subjectOf(input)),
    ],
    [
      'localsubjectaccessreviews.authorization.k8s.io',
      async ({ namespace }, input) => {
        if (valueAt(input, 'spec.resourceAttributes.namespace') !== namespace) {
          throw badRequest('spec.resourceAttributes.namespace must match the namespace of the review');
        }
        return review(authorizer, 'LocalSubjectAccessReview', input, subjectOf(input));
      },
    ],
    [
      'selfsubjectrulesreviews.authorization.k8s.io',
      async ({ user }, input) => reviewRules(authorizer, user, input),
    ],
  ];
}

function specOf(input: unknown): JsonObject {
  const spec = valueAt(input, 'spec');
  return isObject(spec) ? spec : {};
}

function review(authorizer: RbacAuthorizer, kind: string, input: unknown, user: UserInfo): StoredObject {
  const spec = specOf(input);
  const { allowed, reason } = authorizer.authorize(attributesOf(user, spec));
  return {
    kind,
    apiVersion: API_VERSION,
    metadata: {},
    spec,
    status: { allowed, ...(reason === '' ? {} : { reason }) },
  };
}

function subjectOf(input: unknown): UserInfo {
  const { user, groups, uid } = specOf(input);
  if ((typeof user !== 'string' || user === '') && !Array.isArray(groups)) {
    throw badRequest('spec: Invalid value: at least one of user or group must be specified');
  }
  return {
    username: typeof user === 'string' ? user : '',
    groups: Array.isArray(groups) ? groups.map(String) : [],
    ...(typeof uid === 'string' ? { uid } : {}),
  };
}

function attributesOf(user: UserInfo, spec: JsonObject): Attributes {
  const { resourceAttributes, nonResourceAttributes } = spec;
  if (isObject(resourceAttributes) && nonResourceAttributes === undefined) {
    const of = (name: string): string => text(resourceAttributes[name]);
    return {
      kind: 'resource',
      user,
      verb: of('verb'),
      group: of('group'),
      resource: of('resource'),
      subresource: of('subresource'),
      namespace: of('namespace'),
      name: of('name'),
    };
  }
  if (isObject(nonResourceAttributes) && resourceAttributes === undefined) {
    return {
      kind: 'path',
      user,
      verb: text(nonResourceAttributes['verb']),
      path: text(nonResourceAttributes['path']),
    };
  }
  throw badRequest(
    'spec: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified',
  );
}

function reviewRules(authorizer: RbacAuthorizer, user: UserInfo, input: unknown): StoredObject {
  const namespace = valueAt(input, 'spec.namespace');
  if (typeof namespace !== 'string' || namespace === '') throw badRequest('no namespace on request');
  const rules = authorizer.rulesFor(user, namespace);
  const isPathRule = (rule: PolicyRule): boolean => (rule.nonResourceURLs ?? []).length > 0;
  return {
    kind: 'SelfSubjectRulesReview',
    apiVersion: API_VERSION,
    metadata: {},
    spec: {},
    status: {
      incomplete: false,
      resourceRules: rules.filter((rule) => !isPathRule(rule)),
      nonResourceRules: rules
        .filter(isPathRule)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    },
  };
}
