import type { StoredObject } from '../../types.ts';
import type { FieldError } from '../types.ts';
import {
  dns1035LabelProblem,
  dns1123LabelProblem,
  dns1123SubdomainProblem,
  pathSegmentProblem,
} from './names.ts';

/** The semantic rules of one built-in kind; `old` is the object before an update. */
export type Rules = (object: StoredObject, old: StoredObject | undefined) => FieldError[];

const rules: Readonly<Record<string, Rules>> = {};

export function rulesOf(group: string, kind: string): Rules {
  return rules[`${group}/${kind}`] ?? noRules;
}

/** Names are DNS subdomains unless the kind says otherwise. */
export function nameProblemOf(group: string, kind: string): (name: string) => string | undefined {
  if (group === 'rbac.authorization.k8s.io') return pathSegmentProblem;
  if (group === '' && kind === 'Service') return dns1035LabelProblem;
  if (group === '' && kind === 'Namespace') return dns1123LabelProblem;
  return dns1123SubdomainProblem;
}

function noRules(): FieldError[] {
  return [];
}
