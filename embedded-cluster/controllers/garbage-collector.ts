import { resourceName } from '../apiserver/registry.ts';
import type { Clock } from '../clock.ts';
import type { LoopbackClient, ResourceType, StoredObject } from '../types.ts';
import { collect, finishDeletion } from './collect.ts';
import { runController } from './controller.ts';
import type { ControllerContext, RunningController } from './controller.ts';
import { OwnerGraph } from './owner-graph.ts';
import { at, formatPlace, parsePlace } from './place.ts';

const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';
/** A new kind is served a moment after its definition is stored. */
const NEW_KIND_DELAY_MS = 200;

/**
 * Owner references: what has lost its last owner is deleted, dangling references are taken off, `foregroundDeletion` waits
 * for the dependents that block it, `orphan` lets them go. Follows every resource that is served, custom ones as they
 * come and go.
 */
export function runGarbageCollector(context: ControllerContext): RunningController {
  const { client, clock } = context;
  const graph = new OwnerGraph();
  const collector = runController(context, {
    name: 'garbage-collector',
    sources: [],
    reconcile: (key) => reconcile(client, graph, key),
  });
  const followed = new FollowedResources(client, (resource, object, deleted) => {
    for (const key of note(graph, resource, object, deleted)) collector.enqueue(key);
  });
  followed.follow();
  const definitions = onNewKinds(client, clock, () => followed.follow());
  return {
    enqueue: (key) => collector.enqueue(key),
    async stop() {
      definitions?.close();
      followed.close();
      await collector.stop();
    },
  };
}

/** Brings what is seen of an object into the graph. @returns the keys that are to be looked at for it */
function note(graph: OwnerGraph, resource: string, object: StoredObject, deleted: boolean): string[] {
  const { namespace, name = '', uid = '', ownerReferences = [], deletionTimestamp } = object.metadata;
  const key = formatPlace({ resource, namespace, name });
  // Those that it named until now may have waited for it.
  const owners = graph.ownersOf(key);
  if (deleted) {
    graph.remove(key, uid);
    return [...owners, ...graph.dependentsOf(uid)];
  }
  graph.put(
    key,
    uid,
    ownerReferences.map((owner) => owner.uid),
  );
  const concerned = ownerReferences.length > 0 || deletionTimestamp !== undefined;
  return concerned ? [...owners, key] : [...owners];
}

async function reconcile(client: LoopbackClient, graph: OwnerGraph, key: string): Promise<void> {
  const place = parsePlace(key);
  const object = at(client, place);
  if (object === undefined) return;
  const { uid = '', deletionTimestamp, ownerReferences = [] } = object.metadata;
  if (deletionTimestamp !== undefined)
    await finishDeletion(client, place, object, graph.dependentsOf(uid).map(parsePlace));
  else if (ownerReferences.length > 0) await collect(client, place, object);
}

/**
 * Calls `served` when a definition of a custom kind has changed and shows in what is served, where this cluster serves
 * such kinds.
 */
function onNewKinds(client: LoopbackClient, clock: Clock, served: () => void): { close(): void } | undefined {
  if (!client.resources().some((type) => resourceName(type) === CRDS)) return undefined;
  const waiting = new Set<() => void>();
  const { resourceVersion } = client.list(CRDS);
  const watch = client.watch(CRDS, { resourceVersion }, (event) => {
    if (event.type === 'BOOKMARK') return;
    const cancel = clock.after(NEW_KIND_DELAY_MS, () => {
      waiting.delete(cancel);
      served();
    });
    waiting.add(cancel);
  });
  return {
    close() {
      watch.close();
      for (const cancel of waiting) cancel();
    },
  };
}

type Seen = (resource: string, object: StoredObject, deleted: boolean) => void;

/** Watches on every resource whose objects are collected. */
class FollowedResources {
  readonly #client: LoopbackClient;
  readonly #seen: Seen;
  readonly #watches = new Map<string, { close(): void }>();

  constructor(client: LoopbackClient, seen: Seen) {
    this.#client = client;
    this.#seen = seen;
  }

  /** Begins with what is served now and is not followed yet, and ends with what is served no more. */
  follow(): void {
    const served = new Set(this.#client.resources().filter(isCollected).map(resourceName));
    for (const resource of served) if (!this.#watches.has(resource)) this.#begin(resource);
    for (const [resource, watch] of this.#watches) {
      if (served.has(resource)) continue;
      watch.close();
      this.#watches.delete(resource);
    }
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
  }

  #begin(resource: string): void {
    const { items, resourceVersion } = this.#client.list(resource);
    const watch = this.#client.watch(resource, { resourceVersion }, (event) => {
      if (event.type !== 'BOOKMARK') this.#seen(resource, event.object, event.type === 'DELETED');
    });
    this.#watches.set(resource, watch);
    for (const item of items) this.#seen(resource, item, false);
  }
}

/** Events own nothing, are owned by nothing, and come by the hundred. */
function isCollected(type: ResourceType): boolean {
  return type.plural !== 'events' && type.verbs.includes('watch') && type.verbs.includes('delete');
}
