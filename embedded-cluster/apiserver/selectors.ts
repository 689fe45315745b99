import type { LabelSelector } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import { badRequest } from './errors.ts';
import { valueAt } from './json.ts';

/** Says whether an object is selected. */
export type Predicate = (object: StoredObject) => boolean;

type Labels = Record<string, string>;
type Requirement = (labels: Labels) => boolean;

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

function requirement(text: string): Requirement {
  if (/\s(in|notin)\s*\([^)]*$/.test(text)) {
    throw badRequest("unable to parse requirement: found '', expected: ',' or ')'");
  }
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    checkKey(key);
    const values = new Set(list.split(',').map((value) => value.trim()));
    if (operator === 'in') return (labels) => labels[key] !== undefined && values.has(labels[key]);
    return (labels) => labels[key] === undefined || !values.has(labels[key]);
  }
  const comparison = /^([^=!<>\s]+)\s*(==|=|!=|<|>)\s*([^=!<>\s]*)$/.exec(text);
  if (comparison !== null) {
    const [, key = '', operator, value = ''] = comparison;
    checkKey(key);
    switch (operator) {
      case '!=':
        return (labels) => labels[key] !== value;
      case '<':
        return (labels) => labels[key] !== undefined && Number(labels[key]) < Number(value);
      case '>':
        return (labels) => labels[key] !== undefined && Number(labels[key]) > Number(value);
      default:
        return (labels) => labels[key] === value;
    }
  }
  const absent = text.startsWith('!');
  const key = (absent ? text.slice(1) : text).trim();
  checkKey(key);
  return absent ? (labels) => labels[key] === undefined : (labels) => labels[key] !== undefined;
}

function checkKey(key: string): void {
  if (!LABEL_KEY.test(key)) {
    throw badRequest(
      `unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
    );
  }
}

/** Splits at commas outside of parentheses. */
function splitRequirements(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** `a=b,c!=d,e in (f,g),!h`: the text form of a label selector; throws 400. '' selects everything. */
export function parseLabelSelector(text: string): Predicate {
  const requirements = splitRequirements(text).map(requirement);
  if (requirements.length === 0) return () => true;
  return (object) => {
    const labels = object.metadata.labels ?? {};
    return requirements.every((matches) => matches(labels));
  };
}

/** metav1.LabelSelector as objects hold it. An absent one selects everything (the rule for webhooks). */
export function matchesLabelSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    if (labels[key] !== value) return false;
  }
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const value = labels[key];
    if (operator === 'Exists' && value === undefined) return false;
    if (operator === 'DoesNotExist' && value !== undefined) return false;
    if (operator === 'In' && (value === undefined || !values.includes(value))) return false;
    if (operator === 'NotIn' && value !== undefined && values.includes(value)) return false;
  }
  return true;
}

/** Field labels beside metadata.name and metadata.namespace, by storage name of the resource (kube-apiserver's conversion functions). */
const FIELD_LABELS: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  secrets: ['type'],
  services: ['spec.clusterIP', 'spec.type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  'replicasets.apps': ['status.replicas'],
  'jobs.batch': ['status.successful'],
  'certificatesigningrequests.certificates.k8s.io': ['spec.signerName'],
};

const BOOLEAN_LABELS = new Set(['spec.hostNetwork', 'spec.unschedulable']);

function fieldText(object: StoredObject, label: string): string {
  const value = label === 'source' ? valueAt(object, 'source.component') : valueAt(object, label);
  if (value === undefined || value === null) return BOOLEAN_LABELS.has(label) ? 'false' : '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The text form of a field selector (`=`, `==`, `!=`); throws 400 for a field that `resource` can't be selected by. `extra`: selectableFields of a CRD. */
export function parseFieldSelector(text: string, resource: string, extra: readonly string[] = []): Predicate {
  const known = new Set(['metadata.name', 'metadata.namespace', ...(FIELD_LABELS[resource] ?? []), ...extra]);
  const terms = splitRequirements(text).map((term) => {
    const match = /^([^=!]+?)(==|=|!=)(.*)$/.exec(term);
    if (match === null)
      throw badRequest(`invalid selector: ${JSON.stringify(text)}; can't understand ${JSON.stringify(term)}`);
    const [, label = '', operator, value = ''] = match;
    if (!known.has(label)) throw unknownField(label, resource, known);
    return { label, negated: operator === '!=', value };
  });
  return (object) =>
    terms.every(({ label, negated, value }) => (fieldText(object, label) === value) !== negated);
}

function unknownField(label: string, resource: string, known: ReadonlySet<string>): Error {
  if (FIELD_LABELS[resource] !== undefined) return badRequest(`field label not supported: ${label}`);
  const list = [...known].map((name) => JSON.stringify(name)).join(', ');
  return badRequest(`${JSON.stringify(label)} is not a known field selector: only ${list}`);
}

/** The value that `metadata.name=x` alone pins: lets list and watch of one object pass RBAC's resourceNames. */
export function pinnedName(fieldSelector: string | undefined): string | undefined {
  return fieldSelector === undefined ? undefined : /^metadata\.name==?([^,=!]+)$/.exec(fieldSelector)?.[1];
}
