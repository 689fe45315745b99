import type { StoredObject } from '../../types.ts';
import type { ApiError } from '../../types.ts';
import { badRequest, invalid } from '../errors.ts';
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
        const asked = valueAt(input, 'spec.resourceAttributes.namespace');
        if (asked !== namespace)
          throw refused('resourceAttributes.namespace', asked, 'must match metadata.namespace');
        const reviewed = review(authorizer, 'LocalSubjectAccessReview', input, subjectOf(input));
        return { ...reviewed, metadata: { namespace: text(namespace) } };
      },
    ],
    [
      'selfsubjectrulesreviews.authorization.k8s.io',
      async ({ user }, input) => reviewRules(authorizer, user, input),
    ],
  ];
}

/** 422 for the field of a review's spec; such reviews have no kind and no name in messages. */
function refused(field: string, value: unknown, problem: string): ApiError {
  const message = `Invalid value: ${JSON.stringify(value)}: ${problem}`;
  return invalid('', 'authorization.k8s.io', '', [
    { field: `spec.${field}`, reason: 'FieldValueInvalid', message },
  ]);
}

/** Empty texts are left out, as Go writes them. */
function withoutEmptyAttributes(spec: JsonObject): JsonObject {
  const { resourceAttributes } = spec;
  if (!isObject(resourceAttributes)) return spec;
  const filled = Object.entries(resourceAttributes).filter(([, value]) => value !== '');
  return { ...spec, resourceAttributes: Object.fromEntries(filled) };
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
    spec: withoutEmptyAttributes(spec),
    status: { allowed, ...(reason === '' ? {} : { reason }) },
  };
}

function subjectOf(input: unknown): UserInfo {
  const { user, groups, uid } = specOf(input);
  if ((typeof user !== 'string' || user === '') && !Array.isArray(groups)) {
    throw refused('user', user ?? '', 'at least one of user or group must be specified');
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
  if (resourceAttributes !== undefined && isObject(nonResourceAttributes)) {
    const shown = { Path: nonResourceAttributes['path'], Verb: nonResourceAttributes['verb'] };
    throw refused(
      'nonResourceAttributes',
      shown,
      'cannot be specified in combination with resourceAttributes',
    );
  }
  throw refused(
    'resourceAttributes',
    null,
    'exactly one of nonResourceAttributes or resourceAttributes must be specified',
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
