import type { LabelSelector } from '../../api/kubernetes-types.ts';
import type { StoredObject } from '../types.ts';
import { badRequest } from './errors.ts';
import { valueAt } from './json.ts';
import { parseRequirements, type Requirement } from './label-selector.ts';

/** Says whether an object is selected. */
export type Predicate = (object: StoredObject) => boolean;

type Labels = Record<string, string>;

function matches(labels: Labels, { key, operator, values }: Requirement): boolean {
  const value = labels[key];
  switch (operator) {
    case 'in':
    case '=':
      return value !== undefined && values.includes(value);
    case 'notin':
    case '!=':
      return value === undefined || !values.includes(value);
    case '>':
      return value !== undefined && Number(value) > Number(values[0]);
    case '<':
      return value !== undefined && Number(value) < Number(values[0]);
    case 'exists':
      return value !== undefined;
    default:
      return value === undefined;
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
  const requirements = parseRequirements(text);
  if (requirements.length === 0) return () => true;
  return (object) => {
    const labels = object.metadata.labels ?? {};
    return requirements.every((requirement) => matches(labels, requirement));
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
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, label = '', operator, value = ''] = match;
    const stray = /(?<!\\)[=,]/.exec(value);
    if (stray !== null)
      throw badRequest(`invalid field selector: unescaped character in value: ${stray[0].charCodeAt(0)}`);
    if (!known.has(label)) throw unknownField(label, resource, known, extra.length > 0);
    return { label, negated: operator === '!=', value };
  });
  return (object) =>
    terms.every(({ label, negated, value }) => (fieldText(object, label) === value) !== negated);
}

function unknownField(label: string, resource: string, known: ReadonlySet<string>, hasOwn: boolean): Error {
  if (hasOwn || FIELD_LABELS[resource] !== undefined)
    return badRequest(`field label not supported: ${label}`);
  const list = [...known].map((name) => JSON.stringify(name)).join(', ');
  return badRequest(`${JSON.stringify(label)} is not a known field selector: only ${list}`);
}

/** The value that `metadata.name=x` alone pins: lets list and watch of one object pass RBAC's resourceNames. */
export function pinnedName(fieldSelector: string | undefined): string | undefined {
  return fieldSelector === undefined ? undefined : /^metadata\.name==?([^,=!]+)$/.exec(fieldSelector)?.[1];
}
