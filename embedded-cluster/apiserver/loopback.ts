import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { LoopbackClient, ResourceType, StoredObject } from '../types.ts';
import type { ServedType } from '../schema/types.ts';
import { unknownResource } from './errors.ts';
import { type Call, type Core, hasSubresource, SYSTEM_USER } from './operations/core.ts';
import { remove } from './operations/delete.ts';
import { PATCH_TYPES } from './operations/patch.ts';
import { list, watch } from './operations/read.ts';
import type { Verbs } from './operations/verbs.ts';
import { apiVersionOf, type Registry, resourceName, storageName, toVersion } from './registry.ts';

/** Field manager of the cluster's own controllers; a real cluster's go by this name, too. */
const MANAGER = 'kube-controller-manager';

/**
 * The API without the connection, for the controllers and the node agent in this process. They may do everything;
 * admission and validation run as for anyone.
 */
export function createLoopbackClient(core: Core, verbs: Verbs): LoopbackClient {
  const typeOf = (resource: string): ServedType => {
    const type = core.registry.byName(resource);
    if (type === undefined) throw unknownResource();
    return type;
  };
  return {
    resources: () => stored(core.registry),
    get(resource, namespace, name) {
      const type = typeOf(resource);
      const object = core.store.get(storageName(type.resource), within(type, namespace), name);
      return object === undefined ? undefined : toVersion(object, type);
    },
    list(resource, options = {}) {
      const { items, metadata } = list(core.store, typeOf(resource), options);
      return { items, resourceVersion: metadata.resourceVersion ?? '' };
    },
    watch(resource, options, handler) {
      return watch(core.store, typeOf(resource), options, handler);
    },
    async create(resource, object, options = {}) {
      const type = typeOf(resource);
      const { namespace, name = '' } = object.metadata ?? {};
      const { subresource } = options;
      const created =
        subresource === undefined
          ? verbs.create(callOf(type, namespace, ''), typed(type, object))
          : verbs.create(callOf(type, namespace, name, subresource), object);
      return (await created) as StoredObject;
    },
    async update(resource, object, options = {}) {
      const type = typeOf(resource);
      const { namespace, name = '' } = object.metadata ?? {};
      const call = callOf(type, namespace, name, options.subresource);
      const input = options.subresource === 'scale' ? object : typed(type, object);
      return (await verbs.update(call, input)).object;
    },
    async patch(resource, namespace, name, patch, options = {}) {
      const call = callOf(typeOf(resource), namespace, name, options.subresource);
      return (await verbs.patch(call, { type: PATCH_TYPES.merge, body: patch, force: false })).object;
    },
    async delete(resource, namespace, name, options = {}) {
      await remove(core, callOf(typeOf(resource), namespace, name), options);
    },
  };
}

/** What is served and kept under its own name, in the preferred version. */
function stored(registry: Registry): readonly ResourceType[] {
  const byStorage = new Map<string, ResourceType>();
  for (const { resource } of registry.all()) {
    if (!resource.verbs.includes('list') || storageName(resource) !== resourceName(resource)) continue;
    const preferred = registry.byName(resourceName(resource));
    if (preferred !== undefined) byStorage.set(storageName(resource), preferred.resource);
  }
  return [...byStorage.values()];
}

function within(type: ServedType, namespace: string | undefined): string | undefined {
  return type.resource.namespaced ? namespace : undefined;
}

/** A call as the cluster's own controllers make it. */
function callOf(type: ServedType, namespace: string | undefined, name: string, subresource?: string): Call {
  if (subresource !== undefined && !hasSubresource(type, subresource)) throw unknownResource();
  return {
    user: SYSTEM_USER,
    type,
    namespace: within(type, namespace),
    name,
    subresource: subresource ?? '',
    dryRun: false,
    fieldManager: MANAGER,
    fieldValidation: 'Ignore',
    warn: () => undefined,
  };
}

/** Controllers build objects without the type that their resource already says. */
function typed(type: ServedType, object: KubernetesObject): KubernetesObject {
  return { apiVersion: apiVersionOf(type.resource), kind: type.resource.kind, ...object };
}
