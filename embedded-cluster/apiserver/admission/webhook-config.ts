import type { LabelSelector } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import type { ServedType } from '../../schema/types.ts';
import { isObject, type JsonObject } from '../json.ts';
import type { AdmissionRequest } from '../operations/core.ts';
import { type Registry, resourceName, storageName } from '../registry.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { Store } from '../store/store.ts';

/** admissionregistration.k8s.io/v1 MutatingWebhook and ValidatingWebhook, with defaults filled in by the schema. */
export interface Webhook {
  name: string;
  clientConfig: {
    url?: string;
    service?: { namespace: string; name: string; path?: string; port?: number };
    /** Base64 of PEM. */
    caBundle?: string;
  };
  rules?: Rule[];
  failurePolicy?: 'Fail' | 'Ignore';
  matchPolicy?: 'Exact' | 'Equivalent';
  namespaceSelector?: LabelSelector;
  objectSelector?: LabelSelector;
  sideEffects: string;
  timeoutSeconds?: number;
  reinvocationPolicy?: 'Never' | 'IfNeeded';
}

interface Rule {
  operations: string[];
  apiGroups: string[];
  apiVersions: string[];
  resources: string[];
  scope?: 'Cluster' | 'Namespaced' | '*';
}

const GROUP = 'admissionregistration.k8s.io';

/** Webhooks of all configurations, ordered by the configurations' names (kube-apiserver calls them so). */
export function webhooksOf(store: Store, kind: 'mutating' | 'validating'): Webhook[] {
  return store.list(`${kind}webhookconfigurations.${GROUP}`).flatMap((configuration) => {
    const webhooks = configuration['webhooks'];
    return Array.isArray(webhooks) ? webhooks.filter((entry): entry is Webhook => isObject(entry)) : [];
  });
}

/** The type in whose version a webhook wants to see a request; undefined when it doesn't want to. */
export function matchWebhook(
  webhook: Webhook,
  request: AdmissionRequest,
  store: Store,
  registry: Registry,
): ServedType | undefined {
  const { type } = request.call;
  // They could lock everyone out of their own removal.
  if (type.resource.group === GROUP && type.resource.plural.endsWith('webhookconfigurations'))
    return undefined;
  const matched = matchedType(webhook, request, registry);
  if (matched === undefined) return undefined;
  if (!matchesNamespace(webhook, request, store)) return undefined;
  const candidates = [request.object, request.oldObject].filter((object) => object !== undefined);
  const selected = candidates.some((object) =>
    matchesLabelSelector(webhook.objectSelector, object.metadata.labels ?? {}),
  );
  return selected ? matched : undefined;
}

function matchedType(
  { rules = [], matchPolicy }: Webhook,
  { call, operation }: AdmissionRequest,
  registry: Registry,
): ServedType | undefined {
  const equivalent = matchPolicy === 'Exact' ? [] : registry.versionsOf(resourceName(call.type.resource));
  return [call.type, ...equivalent].find((type) =>
    rules.some((rule) => matchesRule(rule, type, call.subresource, operation)),
  );
}

function matchesRule(rule: Rule, { resource }: ServedType, subresource: string, operation: string): boolean {
  const has = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);
  if (
    !has(rule.operations, operation) ||
    !has(rule.apiGroups, resource.group) ||
    !has(rule.apiVersions, resource.version)
  )
    return false;
  const scope = rule.scope ?? '*';
  // A namespace is a thing of the cluster.
  if (scope !== '*' && (scope === 'Namespaced') !== resource.namespaced) return false;
  return rule.resources.some((pattern) => {
    const [plural = '', part = ''] = pattern.split('/', 2);
    return (plural === '*' || plural === resource.plural) && (part === '*' || part === subresource);
  });
}

function matchesNamespace(
  { namespaceSelector }: Webhook,
  { call, object, oldObject }: AdmissionRequest,
  store: Store,
): boolean {
  const isNamespace = storageName(call.type.resource) === 'namespaces';
  if (!isNamespace && call.namespace === undefined) return true;
  const namespace: StoredObject | undefined = isNamespace
    ? (object ?? oldObject)
    : store.get('namespaces', undefined, call.namespace ?? '');
  return matchesLabelSelector(namespaceSelector, namespace?.metadata.labels ?? {});
}

/** AdmissionReview of admission.k8s.io/v1 for a request, with its objects in the version of `type`. */
export function admissionReview(
  uid: string,
  request: AdmissionRequest,
  type: ServedType,
  convert: (object: StoredObject) => StoredObject,
): JsonObject {
  const { call, operation, name, object, oldObject } = request;
  const asKind = ({ resource }: ServedType): JsonObject => ({
    group: resource.group,
    version: resource.version,
    kind: resource.kind,
  });
  const asResource = ({ resource }: ServedType): JsonObject => ({
    group: resource.group,
    version: resource.version,
    resource: resource.plural,
  });
  const { username, uid: userId, groups, extra } = call.user;
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid,
      kind: asKind(type),
      resource: asResource(type),
      ...(call.subresource === ''
        ? {}
        : { subResource: call.subresource, requestSubResource: call.subresource }),
      requestKind: asKind(call.type),
      requestResource: asResource(call.type),
      ...(name === '' ? {} : { name }),
      ...(call.namespace === undefined ? {} : { namespace: call.namespace }),
      operation,
      userInfo: {
        username,
        ...(userId === undefined ? {} : { uid: userId }),
        groups,
        ...(extra === undefined ? {} : { extra }),
      },
      object: object === undefined ? null : convert(object),
      oldObject: oldObject === undefined ? null : convert(oldObject),
      dryRun: call.dryRun,
      options: {
        kind:
          operation === 'CREATE'
            ? 'CreateOptions'
            : operation === 'UPDATE'
              ? 'UpdateOptions'
              : 'DeleteOptions',
        apiVersion: 'meta.k8s.io/v1',
        ...(call.namedManager === undefined || operation === 'DELETE'
          ? {}
          : { fieldManager: call.namedManager }),
      },
    },
  };
}
