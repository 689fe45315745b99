import type { StoredObject } from '../../types.ts';
import { isObject } from '../json.ts';
import type { Attributes } from './authorizer.ts';

/** rbac.authorization.k8s.io PolicyRule. */
export interface PolicyRule {
  verbs: readonly string[];
  apiGroups?: readonly string[];
  resources?: readonly string[];
  resourceNames?: readonly string[];
  nonResourceURLs?: readonly string[];
}

/** The rules of a Role or ClusterRole; none of one that is not there. */
export function rulesOf(role: StoredObject | undefined): PolicyRule[] {
  const rules = role?.['rules'];
  return Array.isArray(rules)
    ? rules.filter((rule): rule is PolicyRule => isObject(rule) && Array.isArray(rule['verbs']))
    : [];
}

function has(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value));
}

/** Whether one rule allows it (RBAC's `RuleAllows`). */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.kind === 'path')
    return (rule.nonResourceURLs ?? []).some((url) => pathMatches(url, attributes.path));
  const { group, resource, subresource, name } = attributes;
  return (
    has(rule.apiGroups, group) &&
    resourceMatches(rule.resources ?? [], resource, subresource) &&
    (rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(name))
  );
}

function pathMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1));
}

/** A star is every resource with every subresource; star and subresource, that one of every resource. */
function resourceMatches(resources: readonly string[], resource: string, subresource: string): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (entry) => entry === '*' || entry === full || (subresource !== '' && entry === `*/${subresource}`),
  );
}

/** The single permissions that a rule is made of, each a rule with one verb, group and resource. */
function split(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const verb of rule.verbs) {
    for (const url of rule.nonResourceURLs ?? []) parts.push({ verbs: [verb], nonResourceURLs: [url] });
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const base = { verbs: [verb], apiGroups: [group], resources: [resource] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) parts.push(base);
        else for (const name of names) parts.push({ ...base, resourceNames: [name] });
      }
    }
  }
  return parts;
}

function covers(owner: PolicyRule, part: PolicyRule): boolean {
  const [verb = ''] = part.verbs;
  if (!has(owner.verbs, verb)) return false;
  const [url] = part.nonResourceURLs ?? [];
  if (url !== undefined) return (owner.nonResourceURLs ?? []).some((pattern) => pathMatches(pattern, url));
  const [group = ''] = part.apiGroups ?? [];
  const [full = ''] = part.resources ?? [];
  const [resource = '', subresource = ''] = full.split('/', 2);
  if (!has(owner.apiGroups, group) || !resourceMatches(owner.resources ?? [], resource, subresource))
    return false;
  const names = owner.resourceNames ?? [];
  const [name] = part.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

/** What `wanted` allows beyond `owned`: empty when someone with `owned` may grant it (RBAC's escalation rule). */
export function uncovered(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(split).filter((part) => !owned.some((rule) => covers(rule, part)));
}

/** Rules as kube-apiserver prints them in its messages: those that differ only in their verbs as one, in order. */
export function compact(rules: readonly PolicyRule[]): string[] {
  const verbs = new Map<string, { rule: PolicyRule; verbs: string[] }>();
  for (const rule of rules) {
    const key = JSON.stringify({ ...rule, verbs: [] });
    const same = verbs.get(key);
    if (same === undefined) verbs.set(key, { rule, verbs: [...rule.verbs] });
    else same.verbs.push(...rule.verbs);
  }
  return [...verbs.values()].map((entry) => formatRule({ ...entry.rule, verbs: entry.verbs })).sort();
}

function formatRule(rule: PolicyRule): string {
  const list = (values: readonly string[]): string =>
    `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
  const parts: string[] = [];
  for (const [label, values] of [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['ResourceNames', rule.resourceNames],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['Verbs', rule.verbs],
  ] as const) {
    if (values !== undefined && values.length > 0) parts.push(`${label}:${list(values)}`);
  }
  return `{${parts.join(', ')}}`;
}
