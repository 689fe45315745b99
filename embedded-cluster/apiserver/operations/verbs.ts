import type { Status } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { methodNotAllowed, notImplemented } from '../errors.ts';
import { resourceName } from '../registry.ts';
import { type Call, type Core, groupResource } from './core.ts';
import { create, createByUpdate } from './create.ts';
import { finalizeNamespace } from './namespace-finalize.ts';
import { type Patch, patch, type PatchResult } from './patch.ts';
import { getScale, patchScale, replaceScale } from './scale.ts';
import { isMadeByUpdate } from './strategy.ts';
import { findLive, replace, requireLive } from './update.ts';

/** A POST that makes no stored object of its own: reviews, tokens, bindings, evictions. */
export type PostHandler = (call: Call, input: unknown) => Promise<StoredObject | Status>;

/** By resource, or resource/subresource: `pods/binding`, `tokenreviews.authentication.k8s.io`. */
export type PostHandlers = ReadonlyMap<string, PostHandler>;

/** The writes and single reads of every resource and subresource; the HTTPS server and the loopback client both go through here. */
export interface Verbs {
  get(call: Call): StoredObject;
  create(call: Call, input: unknown): Promise<StoredObject | Status>;
  update(call: Call, input: unknown): Promise<PatchResult>;
  patch(call: Call, request: Patch): Promise<PatchResult>;
}

export function createVerbs(core: Core, postHandlers: PostHandlers): Verbs {
  return {
    get(call) {
      if (call.subresource === 'scale') return getScale(core, call);
      return requireLive(core, call);
    },
    async create(call, input) {
      const key = resourceName(call.type.resource) + (call.subresource === '' ? '' : `/${call.subresource}`);
      const handler = postHandlers.get(key);
      if (handler !== undefined) return handler(call, input);
      if (call.subresource !== '') {
        throw notImplemented(
          `${call.type.resource.plural}/${call.subresource} is not implemented by this cluster`,
        );
      }
      if (call.name !== '') throw methodNotAllowed();
      return create(core, call, input);
    },
    async update(call, input) {
      if (call.subresource === 'scale') return changed(await replaceScale(core, call, input));
      if (call.subresource === 'finalize') return changed(finalizeNamespace(core, call, input));
      if (isMadeByUpdate(call) && findLive(core, call) === undefined)
        return { object: await createByUpdate(core, call, input), created: true };
      if (call.subresource === '' || call.subresource === 'status')
        return changed(await replace(core, call, input));
      throw methodNotAllowed('update', groupResource(call.type));
    },
    async patch(call, request) {
      if (call.subresource === 'scale')
        return { object: await patchScale(core, call, request), created: false };
      if (call.subresource === '' || call.subresource === 'status') return patch(core, call, request);
      throw methodNotAllowed('patch', groupResource(call.type));
    },
  };
}

function changed(object: StoredObject): PatchResult {
  return { object, created: false };
}
