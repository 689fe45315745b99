import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { LoopbackClient, ResourceType, StoredObject } from '../types.ts';
import type { ServedType } from '../schema/types.ts';
import { unknownResource } from './errors.ts';
import { type Call, type Core, hasSubresource, SYSTEM_USER } from './operations/core.ts';
import { remove } from './operations/delete.ts';
import { PATCH_TYPES } from './operations/patch.ts';
import { list, watch } from './operations/read.ts';
import type { Verbs } from './operations/verbs.ts';
import { apiVersionOf, resourceName, storageName, toVersion } from './registry.ts';

/** Field manager of the cluster's own controllers; a real cluster's go by this name, too. */
const MANAGER = 'kube-controller-manager';

/** The API without the connection, for the controllers and the node agent in this process. They may do everything; admission and validation run as for anyone. */
export function createLoopbackClient(core: Core, verbs: Verbs): LoopbackClient {
  const typeOf = (resource: string): ServedType => {
    const type = core.registry.byName(resource);
    if (type === undefined) throw unknownResource();
    return type;
  };
  const callOf = (
    type: ServedType,
    namespace: string | undefined,
    name: string,
    subresource: string | undefined,
  ): Call => {
    if (subresource !== undefined && !hasSubresource(type, subresource)) throw unknownResource();
    return {
      user: SYSTEM_USER,
      type,
      namespace: type.resource.namespaced ? namespace : undefined,
      name,
      subresource: subresource ?? '',
      dryRun: false,
      fieldManager: MANAGER,
      fieldValidation: 'Ignore',
      warn: () => undefined,
    };
  };

  return {
    resources(): readonly ResourceType[] {
      const byStorage = new Map<string, ResourceType>();
      for (const { resource } of core.registry.all()) {
        if (!resource.verbs.includes('list') || storageName(resource) !== resourceName(resource)) continue;
        const preferred = core.registry.byName(resourceName(resource));
        if (preferred !== undefined) byStorage.set(storageName(resource), preferred.resource);
      }
      return [...byStorage.values()];
    },
    get(resource, namespace, name) {
      const type = typeOf(resource);
      const object = core.store.get(
        storageName(type.resource),
        type.resource.namespaced ? namespace : undefined,
        name,
      );
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
      const call = callOf(
        type,
        namespace,
        options.subresource === undefined ? '' : name,
        options.subresource,
      );
      return (await verbs.create(
        call,
        options.subresource === undefined ? typed(type, object) : object,
      )) as StoredObject;
    },
    async update(resource, object, options = {}) {
      const type = typeOf(resource);
      const { namespace, name = '' } = object.metadata ?? {};
      const call = callOf(type, namespace, name, options.subresource);
      const input = options.subresource === 'scale' ? object : typed(type, object);
      const { object: updated } = await verbs.update(call, input);
      return updated;
    },
    async patch(resource, namespace, name, patch, options = {}) {
      const call = callOf(typeOf(resource), namespace, name, options.subresource);
      return (await verbs.patch(call, { type: PATCH_TYPES.merge, body: patch, force: false })).object;
    },
    async delete(resource, namespace, name, options = {}) {
      await remove(core, callOf(typeOf(resource), namespace, name, undefined), options);
    },
  };
}

/** Controllers build objects without the type that their resource already says. */
function typed(type: ServedType, object: KubernetesObject): KubernetesObject {
  return { apiVersion: apiVersionOf(type.resource), kind: type.resource.kind, ...object };
}
