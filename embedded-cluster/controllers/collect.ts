import type { OwnerReference } from '../../api/kubernetes-types.ts';
import { resourceName } from '../apiserver/registry.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';
import { ignoring } from './controller.ts';
import { at, type Place } from './place.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';

/** An object with owners: it goes when none is left, otherwise it loses the references to those that are gone. */
export async function collect(client: LoopbackClient, place: Place, object: StoredObject): Promise<void> {
  const { ownerReferences = [], uid, resourceVersion } = object.metadata;
  const states = ownerReferences.map((owner) => ownerState(client, place, owner));
  const solid = ownerReferences.filter((_, i) => states[i] === 'there');
  const waiting = states.includes('waiting');
  if (solid.length === 0) {
    const propagationPolicy =
      waiting || object.metadata.finalizers?.includes(FOREGROUND) ? 'Foreground' : 'Background';
    await ignoring(['NotFound', 'Conflict'], () =>
      client.delete(place.resource, place.namespace, place.name, {
        propagationPolicy,
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      }),
    );
  } else if (solid.length < ownerReferences.length) {
    await ignoring(['NotFound'], () =>
      client.patch(place.resource, place.namespace, place.name, {
        metadata: { resourceVersion, ownerReferences: solid },
      }),
    );
  }
}

/** `waiting`: the owner is being deleted in the foreground and this dependent is to go before it. */
function ownerState(
  client: LoopbackClient,
  dependent: Place,
  reference: OwnerReference,
): 'there' | 'gone' | 'waiting' {
  const [group = '', version] = reference.apiVersion.includes('/')
    ? reference.apiVersion.split('/')
    : ['', reference.apiVersion];
  const type = client.resources().find((t) => t.group === group && t.kind === reference.kind);
  // A kind that is not served can't be judged: the real collector waits for it, too.
  if (type === undefined || version === undefined) return 'there';
  const namespace = type.namespaced ? dependent.namespace : undefined;
  const owner = client.get(resourceName(type), namespace, reference.name);
  if (owner === undefined || owner.metadata.uid !== reference.uid) return 'gone';
  const foreground =
    owner.metadata.deletionTimestamp !== undefined &&
    owner.metadata.finalizers?.includes(FOREGROUND) === true;
  return foreground ? 'waiting' : 'there';
}

/** An object that is being deleted: takes off the finalizers that say what becomes of its dependents, once that is done. */
export async function finishDeletion(
  client: LoopbackClient,
  place: Place,
  object: StoredObject,
  dependents: readonly Place[],
): Promise<void> {
  const { finalizers = [], uid = '' } = object.metadata;
  if (finalizers.includes(ORPHAN)) {
    for (const dependent of dependents) await release(client, dependent, uid);
    await removeFinalizer(client, place, object, ORPHAN);
  } else if (finalizers.includes(FOREGROUND)) {
    for (const dependent of dependents) {
      const live = at(client, dependent);
      if (live !== undefined && live.metadata.deletionTimestamp === undefined)
        await collect(client, dependent, live);
    }
    const blocking = dependents.some((dependent) =>
      at(client, dependent)?.metadata.ownerReferences?.some(
        (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
      ),
    );
    if (!blocking) await removeFinalizer(client, place, object, FOREGROUND);
  }
}

/** Takes the references to an owner off, so that its dependent outlives it. */
async function release(client: LoopbackClient, dependent: Place, ownerUid: string): Promise<void> {
  const object = at(client, dependent);
  if (object === undefined) return;
  const ownerReferences = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== ownerUid);
  await ignoring(['NotFound'], () =>
    client.patch(dependent.resource, dependent.namespace, dependent.name, { metadata: { ownerReferences } }),
  );
}

async function removeFinalizer(
  client: LoopbackClient,
  place: Place,
  object: StoredObject,
  finalizer: string,
): Promise<void> {
  const finalizers = (object.metadata.finalizers ?? []).filter((f) => f !== finalizer);
  await ignoring(['NotFound'], () =>
    client.patch(place.resource, place.namespace, place.name, {
      metadata: { resourceVersion: object.metadata.resourceVersion, finalizers },
    }),
  );
}
