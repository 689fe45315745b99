import type { StoredObject } from '../../types.ts';
import { forbidden, forbiddenPath, notFound } from '../errors.ts';
import { isObject, valueAt, text } from '../json.ts';
import { type Call, groupResource, type UserInfo } from '../operations/core.ts';
import type { Store } from '../store/store.ts';
import { type Attributes, type Authorizer, type Decision, denial } from './authorizer.ts';
import { compact, type PolicyRule, ruleAllows, rulesOf, uncovered } from './rules.ts';

const GROUP = 'rbac.authorization.k8s.io';
export const CLUSTER_ROLES = `clusterroles.${GROUP}`;
export const CLUSTER_ROLE_BINDINGS = `clusterrolebindings.${GROUP}`;
const ROLES = `roles.${GROUP}`;
const ROLE_BINDINGS = `rolebindings.${GROUP}`;

/** Everything is allowed to them, whatever the roles say: the way back in when RBAC is broken. */
const SUPERUSERS = 'system:masters';

/** Rules that someone has by one binding. */
interface Grant {
  binding: StoredObject;
  rules: readonly PolicyRule[];
}

/** Role-based access control over the roles and bindings in the store. */
export class RbacAuthorizer implements Authorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  authorize(attributes: Attributes): Decision {
    if (attributes.user.groups.includes(SUPERUSERS)) return { allowed: true, reason: '' };
    const namespace = attributes.kind === 'resource' ? attributes.namespace : '';
    for (const { binding, rules } of this.#grants(attributes.user, namespace)) {
      if (rules.some((rule) => ruleAllows(rule, attributes)))
        return { allowed: true, reason: reasonOf(binding) };
    }
    return { allowed: false, reason: '' };
  }

  /** Everything that someone may do in a namespace ('' : cluster-wide only). */
  rulesFor(user: UserInfo, namespace: string): PolicyRule[] {
    if (user.groups.includes(SUPERUSERS)) {
      return [
        { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
        { verbs: ['*'], nonResourceURLs: ['*'] },
      ];
    }
    return [...this.#grants(user, namespace)].flatMap(({ rules }) => rules);
  }

  /**
   * Nobody may grant what they don't have: a role is written only by those who hold all of its rules (or may `escalate` it), a binding only by those who hold
   * what it gives (or may `bind` the role). Throws 403.
   */
  preventEscalation(call: Call, object: StoredObject, live: StoredObject | undefined): void {
    if (call.type.resource.group !== GROUP) return;
    const isBinding = call.type.resource.kind.endsWith('Binding');
    const target = isBinding
      ? this.#referencedRole(object)
      : { resource: call.type.resource.plural, name: call.name, rules: rulesOf(object) };
    if (live !== undefined && JSON.stringify(wantedOf(live)) === JSON.stringify(wantedOf(object))) return;
    const verb = isBinding ? 'bind' : 'escalate';
    const namespace = call.namespace ?? '';
    const attributes: Attributes = {
      kind: 'resource',
      user: call.user,
      verb,
      group: GROUP,
      resource: target.resource,
      subresource: '',
      namespace,
      name: target.name,
    };
    if (this.authorize(attributes).allowed) return;
    if (isBinding && !this.#hasReferencedRole(object)) {
      throw notFound(groupResource(call.type), object.metadata.name ?? '');
    }
    const missing = uncovered(this.rulesFor(call.user, namespace), target.rules);
    if (missing.length === 0) return;
    const { username, groups } = call.user;
    const list = groups.map((group) => JSON.stringify(group)).join(' ');
    throw forbidden(
      groupResource(call.type),
      object.metadata.name ?? '',
      `user ${JSON.stringify(username)} (groups=[${list}]) is attempting to grant RBAC permissions not currently held:\n${compact(missing).join('\n')}`,
    );
  }

  #hasReferencedRole(binding: StoredObject): boolean {
    const isRole = valueAt(binding, 'roleRef.kind') === 'Role';
    const name = text(valueAt(binding, 'roleRef.name'));
    const namespace = isRole ? binding.metadata.namespace : undefined;
    return this.#store.get(isRole ? ROLES : CLUSTER_ROLES, namespace, name) !== undefined;
  }

  #referencedRole(binding: StoredObject): { resource: string; name: string; rules: PolicyRule[] } {
    const kind = valueAt(binding, 'roleRef.kind');
    const name = text(valueAt(binding, 'roleRef.name'));
    return {
      resource: kind === 'Role' ? 'roles' : 'clusterroles',
      name,
      rules: this.#rulesOfReference(binding, binding.metadata.namespace ?? ''),
    };
  }

  *#grants(user: UserInfo, namespace: string): Generator<Grant> {
    for (const binding of this.#store.list(CLUSTER_ROLE_BINDINGS)) {
      if (bindsUser(binding, user)) yield { binding, rules: this.#rulesOfReference(binding, '') };
    }
    if (namespace === '') return;
    for (const binding of this.#store.list(ROLE_BINDINGS, namespace)) {
      if (bindsUser(binding, user)) yield { binding, rules: this.#rulesOfReference(binding, namespace) };
    }
  }

  #rulesOfReference(binding: StoredObject, namespace: string): PolicyRule[] {
    const name = text(valueAt(binding, 'roleRef.name'));
    if (valueAt(binding, 'roleRef.kind') === 'ClusterRole')
      return rulesOf(this.#store.get(CLUSTER_ROLES, undefined, name));
    return namespace === '' ? [] : rulesOf(this.#store.get(ROLES, namespace, name));
  }
}

function wantedOf(object: StoredObject): unknown {
  return [object['rules'], object['subjects'], object['roleRef'], object['aggregationRule']];
}

function bindsUser(binding: StoredObject, user: UserInfo): boolean {
  const subjects = binding['subjects'];
  return (
    Array.isArray(subjects) &&
    subjects.some((subject) => isSubject(subject, user, binding.metadata.namespace))
  );
}

function isSubject(subject: unknown, user: UserInfo, bindingNamespace: string | undefined): boolean {
  if (!isObject(subject)) return false;
  const name = text(subject['name']);
  switch (subject['kind']) {
    case 'User':
      return user.username === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount':
      return (
        user.username === `system:serviceaccount:${text(subject['namespace'] ?? bindingNamespace)}:${name}`
      );
    default:
      return false;
  }
}

function reasonOf(binding: StoredObject): string {
  const { name = '', namespace } = binding.metadata;
  const kind = namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding';
  const full = namespace === undefined ? name : `${name}/${namespace}`;
  const role = `${String(valueAt(binding, 'roleRef.kind'))} ${JSON.stringify(valueAt(binding, 'roleRef.name'))}`;
  const subjects = binding['subjects'];
  const [subject] = Array.isArray(subjects) ? subjects : [];
  return `RBAC: allowed by ${kind} ${JSON.stringify(full)} of ${role} to ${subjectText(subject)}`;
}

function subjectText(subject: unknown): string {
  const [kind, name, namespace] = ['kind', 'name', 'namespace'].map((field) => text(valueAt(subject, field)));
  return `${String(kind)} ${JSON.stringify(namespace === '' ? name : `${String(name)}/${String(namespace)}`)}`;
}

/** For messages: why a call is refused, whole. */
export function refusal(attributes: Attributes): Error {
  if (attributes.kind === 'path') return forbiddenPath(denial(attributes));
  return forbidden(
    { group: attributes.group, resource: attributes.resource },
    attributes.name,
    denial(attributes),
  );
}
