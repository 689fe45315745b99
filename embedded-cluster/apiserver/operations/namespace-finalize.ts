import type { StoredObject } from '../../types.ts';
import { valueAt } from '../json.ts';
import type { Call, Core } from './core.ts';
import { isObject } from '../json.ts';
import { storageName, toStorage } from '../registry.ts';
import { conflict, STALE_RESOURCE_VERSION } from '../errors.ts';
import { groupResource } from './core.ts';
import { isFullyReleased, requireLive } from './update.ts';

/** PUT of `namespaces/finalize`: replaces `spec.finalizers`; the namespace goes when the last one has gone and it was deleted. */
export function finalizeNamespace(core: Core, call: Call, input: unknown): StoredObject {
  const live = requireLive(core, call);
  const resourceVersion = valueAt(input, 'metadata.resourceVersion');
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) {
    throw conflict(groupResource(call.type), call.name, STALE_RESOURCE_VERSION);
  }
  const finalizers = valueAt(input, 'spec.finalizers');
  const object: StoredObject = {
    ...live,
    spec: {
      ...(isObject(live['spec']) ? live['spec'] : {}),
      finalizers: Array.isArray(finalizers) ? finalizers : [],
    },
  };
  const resource = storageName(call.type.resource);
  const stored = toStorage(object, call.type);
  return isFullyReleased(resource, stored)
    ? core.store.remove(resource, stored)
    : core.store.put(resource, stored);
}
