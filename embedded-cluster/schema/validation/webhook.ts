import type { MutatingWebhook, MutatingWebhookConfiguration } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { duplicate, invalid, notSupported, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { validateSelector } from './label-selector.ts';
import { dns1123SubdomainProblem } from './names.ts';

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const failurePolicies = ['Fail', 'Ignore'];
const sideEffects = ['None', 'NoneOnDryRun'];
const reviewVersions = ['v1', 'v1beta1'];
const maxTimeoutSeconds = 30;

/** Mutating and validating configurations; their webhooks have the same fields but for reinvocation. */
export function validateWebhookConfiguration(object: StoredObject): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, webhook] of ((object as MutatingWebhookConfiguration).webhooks ?? []).entries()) {
    const path = `webhooks[${index}]`;
    errors.push(...validateWebhook(webhook, path));
    if (names.has(webhook.name)) errors.push(duplicate(`${path}.name`, webhook.name));
    names.add(webhook.name);
  }
  return errors;
}

function validateWebhook(webhook: MutatingWebhook, path: string): FieldError[] {
  const errors = validateName(webhook.name, `${path}.name`);
  for (const [index, rule] of (webhook.rules ?? []).entries()) {
    errors.push(...validateRule(rule, `${path}.rules[${index}]`));
  }
  if (webhook.failurePolicy !== undefined && !failurePolicies.includes(webhook.failurePolicy)) {
    errors.push(notSupported(`${path}.failurePolicy`, webhook.failurePolicy, failurePolicies));
  }
  if (!webhook.sideEffects) {
    errors.push(required(`${path}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`));
  } else if (!sideEffects.includes(webhook.sideEffects)) {
    errors.push(notSupported(`${path}.sideEffects`, webhook.sideEffects, sideEffects));
  }
  const timeout = webhook.timeoutSeconds;
  if (timeout !== undefined && (timeout < 1 || timeout > maxTimeoutSeconds)) {
    errors.push(
      invalid(`${path}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'),
    );
  }
  errors.push(
    ...validateSelector(webhook.namespaceSelector, `${path}.namespaceSelector`),
    ...validateSelector(webhook.objectSelector, `${path}.objectSelector`),
    ...validateClient(webhook, `${path}.clientConfig`),
    ...validateReviewVersions(webhook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`),
  );
  return errors;
}

function validateName(name: string, field: string): FieldError[] {
  if (!name) return [required(field)];
  const problem = dns1123SubdomainProblem(name);
  if (problem !== undefined) return [invalid(field, name, problem)];
  if (name.split('.').length >= 3) return [];
  return [invalid(field, name, 'should be a domain with at least three segments separated by dots')];
}

function validateRule(rule: NonNullable<MutatingWebhook['rules']>[number], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const listed = rule.operations ?? [];
  if (listed.length === 0) errors.push(required(`${path}.operations`));
  for (const [index, operation] of listed.entries()) {
    if (!operations.includes(operation)) {
      errors.push(notSupported(`${path}.operations[${index}]`, operation, operations));
    }
  }
  errors.push(...validateWildcard(listed, `${path}.operations`, '*', 'operations'));
  for (const [field, words] of [
    ['apiGroups', 'API groups'],
    ['apiVersions', 'API versions'],
  ] as const) {
    const values = rule[field] ?? [];
    if (values.length === 0) errors.push(required(`${path}.${field}`));
    errors.push(...validateWildcard(values, `${path}.${field}`, '*', words));
  }
  const resources = rule.resources ?? [];
  if (resources.length === 0) errors.push(required(`${path}.resources`));
  return [...errors, ...validateWildcard(resources, `${path}.resources`, '*/*', 'resources')];
}

function validateWildcard(
  values: readonly string[],
  field: string,
  wildcard: string,
  words: string,
): FieldError[] {
  if (values.length < 2 || !values.includes(wildcard)) return [];
  return [invalid(field, values, `if '${wildcard}' is present, must not specify other ${words}`)];
}

function validateClient({ clientConfig }: MutatingWebhook, path: string): FieldError[] {
  const { url, service } = clientConfig;
  if ((url === undefined) === (service === undefined)) {
    return [required(path, 'exactly one of url or service is required')];
  }
  const errors: FieldError[] = [];
  if (url !== undefined && !url.startsWith('https://')) {
    errors.push(invalid(`${path}.url`, url, "'https' is the only allowed URL scheme"));
  }
  if (service !== undefined) {
    if (!service.name) errors.push(required(`${path}.service.name`, 'service name is required'));
    if (!service.namespace)
      errors.push(required(`${path}.service.namespace`, 'service namespace is required'));
  }
  return errors;
}

function validateReviewVersions(versions: readonly string[], field: string): FieldError[] {
  if (versions.length === 0) return [required(field, `must specify one of ${reviewVersions.join(', ')}`)];
  if (versions.some((version) => reviewVersions.includes(version))) return [];
  return [invalid(field, versions, `must include at least one of ${reviewVersions.join(', ')}`)];
}
