import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, PolicyRule, RoleBinding, Subject } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { dns1123SubdomainProblem } from './names.ts';

const group = 'rbac.authorization.k8s.io';
const subjectKinds = ['ServiceAccount', 'User', 'Group'];

export function validateRole(object: StoredObject): FieldError[] {
  return rulesOf(object).flatMap((rule, index) => validateRule(rule, `rules[${index}]`, true));
}

export function validateClusterRole(object: StoredObject): FieldError[] {
  return rulesOf(object).flatMap((rule, index) => validateRule(rule, `rules[${index}]`, false));
}

export function validateRoleBinding(object: StoredObject, old: StoredObject | undefined): FieldError[] {
  return validateBinding(object, old, ['Role', 'ClusterRole']);
}

export function validateClusterRoleBinding(
  object: StoredObject,
  old: StoredObject | undefined,
): FieldError[] {
  return validateBinding(object, old, ['ClusterRole']);
}

/** A role without rules has null there. */
function rulesOf(object: StoredObject): PolicyRule[] {
  return (object as ClusterRole & { rules?: PolicyRule[] | null }).rules ?? [];
}

function validateRule(rule: PolicyRule, path: string, namespaced: boolean): FieldError[] {
  const { verbs, apiGroups = [], resources = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (((verbs as string[] | undefined) ?? []).length === 0) {
    errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
  }
  if (nonResourceURLs.length > 0) {
    if (namespaced) {
      errors.push(
        invalid(
          `${path}.nonResourceURLs`,
          nonResourceURLs,
          'namespaced rules cannot apply to non-resource URLs',
        ),
      );
    }
    if (apiGroups.length > 0 || resources.length > 0) {
      errors.push(
        invalid(
          `${path}.nonResourceURLs`,
          nonResourceURLs,
          'rules cannot apply to both regular resources and non-resource URLs',
        ),
      );
    }
    return errors;
  }
  if (apiGroups.length === 0) {
    errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (resources.length === 0) {
    errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
  }
  return errors;
}

function validateBinding(
  object: StoredObject,
  old: StoredObject | undefined,
  roleKinds: readonly string[],
): FieldError[] {
  const { roleRef, subjects = [] } = object as StoredObject & RoleBinding;
  const errors: FieldError[] = [];
  if (roleRef.apiGroup !== group) errors.push(notSupported('roleRef.apiGroup', roleRef.apiGroup, [group]));
  if (!roleKinds.includes(roleRef.kind)) errors.push(notSupported('roleRef.kind', roleRef.kind, roleKinds));
  if (!roleRef.name) errors.push(required('roleRef.name'));
  for (const [index, subject] of subjects.entries()) {
    errors.push(...validateSubject(subject, `subjects[${index}]`));
  }
  const before = (old as (StoredObject & RoleBinding) | undefined)?.roleRef;
  if (before !== undefined && !isDeepStrictEqual(before, roleRef)) {
    const shown = { APIGroup: roleRef.apiGroup, Kind: roleRef.kind, Name: roleRef.name };
    errors.push(invalid('roleRef', shown, 'cannot change roleRef'));
  }
  return errors;
}

function validateSubject(subject: Subject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!subject.name) errors.push(required(`${path}.name`));
  switch (subject.kind) {
    case 'ServiceAccount': {
      const problem = subject.name ? dns1123SubdomainProblem(subject.name) : undefined;
      if (problem !== undefined) errors.push(invalid(`${path}.name`, subject.name, problem));
      if (subject.apiGroup) errors.push(notSupported(`${path}.apiGroup`, subject.apiGroup, ['']));
      if (!subject.namespace) errors.push(required(`${path}.namespace`));
      break;
    }
    case 'User':
    case 'Group':
      if (subject.apiGroup !== group)
        errors.push(notSupported(`${path}.apiGroup`, subject.apiGroup, [group]));
      break;
    default:
      errors.push(notSupported(`${path}.kind`, subject.kind, subjectKinds));
  }
  return errors;
}
