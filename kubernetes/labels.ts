import type { LabelSelector } from '../api/kubernetes-types.ts';

type Labels = Readonly<Record<string, string>>;
type Requirement = NonNullable<LabelSelector['matchExpressions']>[number];

/** True for a selector that is absent or asks for nothing. Kubernetes lets such a one match all; callers for whom it matches nothing ask first. */
export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  return (
    Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0
  );
}

/**
 * Whether labels meet every requirement (metav1.LabelSelector). An empty selector matches all. Throws a `TypeError` for an operator
 * that is none, or `In` and `NotIn` without values.
 */
export function matchesSelector(selector: LabelSelector, labels: Labels | undefined): boolean {
  return requirements(selector).every((r) => meets(r, labels ?? {}));
}

/** The selector in the form of a `labelSelector` query: `a=b,c in (d,e),!f`. Throws as `matchesSelector` does. */
export function formatSelector(selector: LabelSelector): string {
  return requirements(selector).map(formatRequirement).join(',');
}

/** Reads a `labelSelector` query. Throws a `TypeError` that names the part which can not be read. */
export function parseSelector(text: string): LabelSelector {
  const parts = text.match(/[^,(]*\([^)]*\)|[^,]+/g) ?? [];
  return { matchExpressions: parts.map((part) => parseRequirement(part.trim())) };
}

function requirements(selector: LabelSelector): Requirement[] {
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]): Requirement => ({
    key,
    operator: 'In',
    values: [value],
  }));
  return [...equal, ...(selector.matchExpressions ?? [])];
}

function meets(requirement: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'In':
      return valuesOf(requirement).some((v) => v === value);
    case 'NotIn':
      return valuesOf(requirement).every((v) => v !== value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw unknownOperator(requirement);
  }
}

function formatRequirement(requirement: Requirement): string {
  const { key, operator } = requirement;
  switch (operator) {
    case 'In':
      return `${key} in (${valuesOf(requirement).join(',')})`;
    case 'NotIn':
      return `${key} notin (${valuesOf(requirement).join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      throw unknownOperator(requirement);
  }
}

function valuesOf(requirement: Requirement): string[] {
  if (requirement.values === undefined || requirement.values.length === 0) {
    throw new TypeError(`label selector: ${requirement.operator} on "${requirement.key}" needs values`);
  }
  return requirement.values;
}

function unknownOperator(requirement: { key: string; operator: string }): TypeError {
  return new TypeError(
    `label selector: "${requirement.operator}" on "${requirement.key}" is no operator; use In, NotIn, Exists or DoesNotExist`,
  );
}

const SET = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/;
const EQUALITY = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/;
const PRESENCE = /^(!?)\s*([^\s=!()]+)$/;

function parseRequirement(text: string): Requirement {
  const set = SET.exec(text);
  if (set !== null) {
    const [, key = '', word, list = ''] = set;
    return { key, operator: word === 'in' ? 'In' : 'NotIn', values: list.split(',').map((v) => v.trim()) };
  }
  const equality = EQUALITY.exec(text);
  if (equality !== null) {
    const [, key = '', sign, value = ''] = equality;
    return { key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  }
  const presence = PRESENCE.exec(text);
  if (presence === null) throw new TypeError(`label selector: "${text}" can not be read`);
  const [, not, key = ''] = presence;
  return { key, operator: not === '!' ? 'DoesNotExist' : 'Exists' };
}
