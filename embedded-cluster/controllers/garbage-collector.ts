import type { OwnerReference } from '../../api/kubernetes-types.ts';
import type { LoopbackClient, ResourceType, StoredObject } from '../types.ts';
import { runController } from './controller.ts';
import type { ControllerContext, RunningController } from './controller.ts';
import { ignoring } from './controller.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';
/** A new kind is served a moment after its definition is stored. */
const NEW_KIND_DELAY_MS = 200;

/** Where an object stands: its key in the collector's queue. */
interface Place {
  resource: string;
  namespace: string | undefined;
  name: string;
}

/**
 * Owner references: what has lost its last owner is deleted, dangling references are taken off, `foregroundDeletion` waits for the dependents that block it,
 * `orphan` lets them go. Follows every resource that is served, custom ones as they come and go.
 */
export function runGarbageCollector(context: ControllerContext): RunningController {
  const { client, clock } = context;
  /** Owner's uid -> keys of what names it as an owner. */
  const dependents = new Map<string, Set<string>>();
  const ownersOf = new Map<string, string[]>();
  const watches = new Map<string, { close(): void }>();

  const index = (key: string, owners: string[]): void => {
    for (const uid of ownersOf.get(key) ?? []) dependents.get(uid)?.delete(key);
    if (owners.length === 0) ownersOf.delete(key);
    else ownersOf.set(key, owners);
    for (const uid of owners) {
      const set = dependents.get(uid) ?? new Set();
      dependents.set(uid, set.add(key));
    }
  };

  const see = (resource: string, object: StoredObject, deleted: boolean): void => {
    const { namespace, name = '', uid = '', ownerReferences = [] } = object.metadata;
    const key = formatPlace({ resource, namespace, name });
    for (const owner of ownersOf.get(key) ?? []) collector.enqueue(ownerKey(owner));
    index(key, deleted ? [] : ownerReferences.map((owner) => owner.uid));
    places.set(uid, key);
    if (deleted) {
      places.delete(uid);
      for (const dependent of dependents.get(uid) ?? []) collector.enqueue(dependent);
      if (dependents.get(uid)?.size === 0) dependents.delete(uid);
    } else if (ownerReferences.length > 0 || object.metadata.deletionTimestamp !== undefined) {
      collector.enqueue(key);
    }
  };

  /** Own places of everything, to find an owner that waits for its dependents. */
  const places = new Map<string, string>();
  const ownerKey = (uid: string): string => places.get(uid) ?? '';

  const follow = (): void => {
    const served = new Set<string>();
    for (const type of client.resources()) {
      const resource = resourceName(type);
      if (!isCollected(type)) continue;
      served.add(resource);
      if (watches.has(resource)) continue;
      const { items, resourceVersion } = client.list(resource);
      watches.set(
        resource,
        client.watch(resource, { resourceVersion }, (event) => {
          if (event.type !== 'BOOKMARK') see(resource, event.object, event.type === 'DELETED');
        }),
      );
      for (const item of items) see(resource, item, false);
    }
    for (const [resource, watch] of watches)
      if (!served.has(resource)) {
        watch.close();
        watches.delete(resource);
      }
  };

  const reconcile = async (key: string): Promise<void> => {
    if (key === '') return;
    const place = parsePlace(key);
    const object = client.get(place.resource, place.namespace, place.name);
    if (object === undefined) return;
    const uid = object.metadata.uid ?? '';
    if (object.metadata.deletionTimestamp !== undefined)
      await finishDeletion(client, place, object, [...(dependents.get(uid) ?? [])].map(parsePlace));
    else if ((object.metadata.ownerReferences ?? []).length > 0) await collect(client, place, object);
  };

  const collector = runController(context, {
    name: 'garbage-collector',
    sources: [],
    reconcile,
  });
  follow();
  const definitions = client.resources().some((type) => resourceName(type) === CRDS)
    ? client.watch(CRDS, { resourceVersion: client.list(CRDS).resourceVersion }, (event) => {
        if (event.type !== 'BOOKMARK') clock.after(NEW_KIND_DELAY_MS, follow);
      })
    : undefined;

  return {
    enqueue: (key) => {
      collector.enqueue(key);
    },
    async stop() {
      definitions?.close();
      for (const watch of watches.values()) watch.close();
      await collector.stop();
    },
  };
}

/** Events own nothing, are owned by nothing, and come by the hundred. */
function isCollected(type: ResourceType): boolean {
  return type.plural !== 'events' && type.verbs.includes('watch') && type.verbs.includes('delete');
}

/** An object with owners: goes when none is left, otherwise loses the references to those that are gone. */
async function collect(client: LoopbackClient, place: Place, object: StoredObject): Promise<void> {
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

async function finishDeletion(
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
    const live = dependents
      .map((dependent) => ({
        dependent,
        object: client.get(dependent.resource, dependent.namespace, dependent.name),
      }))
      .filter((d) => d.object !== undefined);
    for (const d of live)
      if (d.object?.metadata.deletionTimestamp === undefined && d.object !== undefined)
        await collect(client, d.dependent, d.object);
    const blocking = dependents.some((dependent) => {
      const now = client.get(dependent.resource, dependent.namespace, dependent.name);
      return (
        now?.metadata.ownerReferences?.some((o) => o.uid === uid && o.blockOwnerDeletion === true) === true
      );
    });
    if (!blocking) await removeFinalizer(client, place, object, FOREGROUND);
  }
}

async function release(client: LoopbackClient, dependent: Place, ownerUid: string): Promise<void> {
  const object = client.get(dependent.resource, dependent.namespace, dependent.name);
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

function resourceName(type: ResourceType): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}

function formatPlace(place: Place): string {
  return `${place.resource}|${place.namespace ?? ''}|${place.name}`;
}

function parsePlace(key: string): Place {
  const [resource = '', namespace = '', name = ''] = key.split('|');
  return { resource, namespace: namespace === '' ? undefined : namespace, name };
}
