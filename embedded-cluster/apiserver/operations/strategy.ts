import type { StoredObject } from '../../types.ts';
import { equal, isObject, type JsonObject, valueAt } from '../json.ts';
import { storageName } from '../registry.ts';
import { type Call, hasSubresource } from './core.ts';

/** What kube-apiserver's registries do to single kinds before they are stored (`pkg/registry/<group>/<kind>/strategy.go`). */
interface Strategy {
  prepareForCreate?(object: StoredObject): void;
  prepareForUpdate?(object: StoredObject, live: StoredObject): void;
  /** Seconds that the object outlives its deletion. */
  gracePeriodSeconds?(live: StoredObject, asked: number | undefined): number;
}

function spec(object: StoredObject): JsonObject {
  return isObject(object['spec']) ? object['spec'] : {};
}

/** QoS by requests and limits of cpu and memory (core/v1 PodQOSClass). */
function qosClass(object: StoredObject): string {
  const containers = [...asList(spec(object)['containers']), ...asList(spec(object)['initContainers'])];
  let bounded = true;
  let any = false;
  for (const container of containers) {
    for (const name of ['cpu', 'memory']) {
      const limit = valueAt(container, `resources.limits.${name}`);
      const request = valueAt(container, `resources.requests.${name}`) ?? limit;
      if (limit !== undefined || request !== undefined) any = true;
      if (limit === undefined || request !== limit) bounded = false;
    }
  }
  if (!any) return 'BestEffort';
  return bounded ? 'Guaranteed' : 'Burstable';
}

/** What was given out stays, what only the Service's type before had goes unless it was changed, too. */
function prepareService(object: StoredObject, live: StoredObject): void {
  const [now, before] = [spec(object), spec(live)];
  if (now['type'] !== 'ExternalName' && before['type'] !== 'ExternalName' && !now['clusterIP']) {
    copyField(now, before, 'clusterIP');
    copyField(now, before, 'clusterIPs');
  }
  const dropUnchanged = (...fields: string[]): void => {
    if (fields.every((field) => equal(now[field], before[field])))
      for (const field of fields) delete now[field];
  };
  if (isExternal(before) && !isExternal(now)) dropUnchanged('externalTrafficPolicy');
  if (now['type'] === before['type']) return;
  if (now['type'] === 'ExternalName') {
    dropUnchanged('clusterIP', 'clusterIPs');
    dropUnchanged('ipFamilies');
    dropUnchanged('ipFamilyPolicy');
    dropUnchanged('internalTrafficPolicy');
  }
  if (now['type'] !== 'LoadBalancer') dropUnchanged('allocateLoadBalancerNodePorts');
}

/** Whether traffic from outside the cluster comes to a Service. */
function isExternal({ type, externalIPs }: JsonObject): boolean {
  return type === 'NodePort' || type === 'LoadBalancer' || asList(externalIPs).length > 0;
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** kubelet's default, written into pods by the schema's defaults; used where a pod has none. */
const DEFAULT_GRACE_SECONDS = 30;

const STRATEGIES: Readonly<Record<string, Strategy>> = {
  pods: {
    prepareForCreate(object) {
      object['status'] = { phase: 'Pending', qosClass: qosClass(object) };
    },
    gracePeriodSeconds(live, asked) {
      const phase = valueAt(live, 'status.phase');
      if (phase === 'Succeeded' || phase === 'Failed') return 0;
      if (valueAt(live, 'spec.nodeName') === undefined) return 0;
      const declared = valueAt(live, 'spec.terminationGracePeriodSeconds');
      const wanted = asked ?? (typeof declared === 'number' ? declared : DEFAULT_GRACE_SECONDS);
      return wanted < 0 ? 1 : wanted;
    },
  },
  namespaces: {
    prepareForCreate(object) {
      object['spec'] = { ...spec(object), finalizers: ['kubernetes'] };
      object['status'] = { phase: 'Active' };
    },
    prepareForUpdate(object, live) {
      object['spec'] = { ...spec(object), finalizers: spec(live)['finalizers'] ?? [] };
    },
  },
  services: {
    prepareForCreate(object) {
      object['status'] = { loadBalancer: {} };
    },
    prepareForUpdate: prepareService,
  },
  'poddisruptionbudgets.policy': {
    prepareForCreate(object) {
      object['status'] = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
    },
  },
  'customresourcedefinitions.apiextensions.k8s.io': {
    prepareForCreate(object) {
      const versions = valueAt(object, 'spec.versions');
      const stored = asList(versions).filter((version) => valueAt(version, 'storage') === true);
      object['status'] = {
        conditions: null,
        acceptedNames: { plural: '', kind: '' },
        storedVersions: stored.map((version) => valueAt(version, 'name')),
      };
    },
  },
};

/** Built-in resources whose `metadata.generation` counts changes of what is asked for; custom resources all do. */
const WITH_GENERATION = new Set([
  'pods',
  'deployments.apps',
  'replicasets.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'cronjobs.batch',
  'endpointslices.discovery.k8s.io',
  'poddisruptionbudgets.policy',
  'networkpolicies.networking.k8s.io',
  'ingresses.networking.k8s.io',
  'priorityclasses.scheduling.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
]);

/** Resources that refuse an update without a resourceVersion (AllowUnconditionalUpdate false). */
const CONDITIONAL_UPDATE_ONLY = new Set([
  'leases.coordination.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
]);

/** Resources that an update makes when they are not there (AllowCreateOnUpdate). */
const MADE_BY_UPDATE = new Set([
  'endpoints',
  'events',
  'leases.coordination.k8s.io',
  'limitranges',
  'podtemplates',
  'priorityclasses.scheduling.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
  'roles.rbac.authorization.k8s.io',
  'services',
]);

/** Resources whose deletion answers with the object that was deleted rather than a Status. */
const RETURNS_DELETED = new Set([
  'pods',
  'services',
  'serviceaccounts',
  'persistentvolumeclaims',
  'podtemplates',
  'resourcequotas',
]);

/** Is a deletion answered with the object rather than with a Status? */
export function returnsDeleted(call: Call): boolean {
  return RETURNS_DELETED.has(storageName(call.type.resource));
}

/** May an update leave `resourceVersion` out? */
export function allowsUnconditionalUpdate(call: Call): boolean {
  return !call.type.resource.custom && !CONDITIONAL_UPDATE_ONLY.has(storageName(call.type.resource));
}

/** Does an update of a name that is free make the object? */
export function isMadeByUpdate(call: Call): boolean {
  return call.subresource === '' && MADE_BY_UPDATE.has(storageName(call.type.resource));
}

function strategyOf(call: Call): Strategy {
  return STRATEGIES[storageName(call.type.resource)] ?? {};
}

function countsGenerations(call: Call): boolean {
  return call.type.resource.custom || WITH_GENERATION.has(storageName(call.type.resource));
}

/** Sets what the server alone decides of a new object, in place. */
export function prepareForCreate(call: Call, object: StoredObject): void {
  if (hasSubresource(call.type, 'status')) {
    delete object['status'];
    // Built-in kinds have an empty one at least.
    if (!call.type.resource.custom) call.type.schema.applyDefaults(object);
  }
  if (countsGenerations(call)) object.metadata.generation = 1;
  strategyOf(call).prepareForCreate?.(object);
}

/** Keeps what an update of the main resource or of `status` may not touch, in place. */
export function prepareForUpdate(call: Call, object: StoredObject, live: StoredObject): void {
  if (call.subresource === 'status') keepAllButStatus(call, object, live);
  else if (hasSubresource(call.type, 'status')) copyField(object, live, 'status');
  keepSystemMetadata(object, live);
  if (call.subresource === '') strategyOf(call).prepareForUpdate?.(object, live);
  if (countsGenerations(call) && call.subresource !== 'status' && !equal(desired(object), desired(live))) {
    object.metadata.generation = (live.metadata.generation ?? 0) + 1;
  }
}

const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';

/** Keeps a deleted CRD until its objects are gone. */
export const CRD_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** Changes of single kinds when they are marked as deleted, in place. */
export function prepareForDeletion(call: Call, object: StoredObject): void {
  const resource = storageName(call.type.resource);
  if (resource === 'namespaces') {
    object['status'] = { ...(isObject(object['status']) ? object['status'] : {}), phase: 'Terminating' };
  } else if (resource === CRDS) {
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), CRD_FINALIZER];
  }
}

/** Do objects of this kind end in their own time when they are deleted? */
export function hasGracePeriod(call: Call): boolean {
  return strategyOf(call).gracePeriodSeconds !== undefined;
}

/** How long one object has to end. @param asked what the client asks for */
export function gracePeriodSeconds(call: Call, live: StoredObject, asked: number | undefined): number {
  return strategyOf(call).gracePeriodSeconds?.(live, asked) ?? 0;
}

function keepAllButStatus(call: Call, object: StoredObject, live: StoredObject): void {
  for (const key of Object.keys({ ...live, ...object })) {
    if (key !== 'status' && key !== 'metadata') copyField(object, live, key);
  }
  const resource = storageName(call.type.resource);
  if (resource === 'deployments.apps') copyField(object.metadata, live.metadata, 'labels');
  if (!call.type.resource.custom && resource !== CRDS) return;
  const { managedFields, resourceVersion } = object.metadata;
  object.metadata = {
    ...live.metadata,
    ...(managedFields === undefined ? {} : { managedFields }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

const SYSTEM_METADATA = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
] as const;

const REFUSED_METADATA: ReadonlySet<string> = new Set(['uid', 'deletionGracePeriodSeconds']);

function keepSystemMetadata(object: StoredObject, live: StoredObject): void {
  const kept: JsonObject = { ...object.metadata };
  for (const key of SYSTEM_METADATA) {
    const given = kept[key];
    // What a client may not change, and says differently, is for validation to refuse.
    if (!REFUSED_METADATA.has(key) || given === undefined || given === '')
      copyField(kept, live.metadata, key);
  }
  object.metadata = kept;
}

function copyField(target: object, source: object, key: string): void {
  const to = target as JsonObject;
  const value = (source as JsonObject)[key];
  if (value === undefined) delete to[key];
  else to[key] = value;
}

/** What a person asks for: everything but metadata and status. On which node a pod is, is the scheduler's word. */
function desired(object: StoredObject): JsonObject {
  const { metadata: _metadata, status: _status, apiVersion: _apiVersion, ...rest } = object;
  if (object.kind !== 'Pod') return rest;
  const { nodeName: _nodeName, ...podSpec } = spec(object);
  return { ...rest, spec: podSpec };
}
