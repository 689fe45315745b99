import { randomUUID } from 'node:crypto';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { ApiError } from '../types.ts';
import type { ListOptions, LoopbackClient, ResourceType, StoredObject, WatchEvent } from '../types.ts';
import { mergePatch, selects } from './memory-api-rules.ts';

interface Watcher {
  resource: string;
  options: ListOptions;
  handler: (event: WatchEvent) => void;
}

const CLUSTER_SCOPED = new Set(['namespaces', 'nodes']);
const WITHOUT_GENERATION = new Set(['pods', 'configmaps', 'secrets', 'services']);

/**
 * The loopback API without its server: storage, resourceVersions, finalizers, graceful deletion of pods, bindings and tokens, no schema. For tests of
 * controllers and of the node agent alone.
 */
export class MemoryApi implements LoopbackClient {
  readonly #objects = new Map<string, StoredObject>();
  readonly #watchers = new Set<Watcher>();
  #version = 1;
  /** Token requests that were answered, newest last. */
  readonly tokenRequests: StoredObject[] = [];
  /** ms since the epoch. */
  now: () => number = () => Date.now();

  resources(): readonly ResourceType[] {
    const kinds: [string, string, string][] = [
      ['', 'pods', 'Pod'],
      ['', 'configmaps', 'ConfigMap'],
      ['', 'secrets', 'Secret'],
      ['', 'services', 'Service'],
      ['', 'events', 'Event'],
      ['', 'serviceaccounts', 'ServiceAccount'],
      ['', 'namespaces', 'Namespace'],
      ['apps', 'deployments', 'Deployment'],
      ['apps', 'replicasets', 'ReplicaSet'],
      ['batch', 'jobs', 'Job'],
      ['discovery.k8s.io', 'endpointslices', 'EndpointSlice'],
    ];
    return kinds.map(([group, plural, kind]) => ({
      group,
      version: 'v1',
      kind,
      listKind: `${kind}List`,
      plural,
      singular: kind.toLowerCase(),
      shortNames: [],
      categories: [],
      namespaced: !CLUSTER_SCOPED.has(plural),
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
      subresources: [],
      custom: false,
    }));
  }

  get(resource: string, namespace: string | undefined, name: string): StoredObject | undefined {
    return this.#objects.get(key(resource, namespace, name));
  }

  list(resource: string, options: ListOptions = {}): { items: StoredObject[]; resourceVersion: string } {
    const items = [...this.#objects]
      .filter(([k, object]) => k.startsWith(`${resource}|`) && selects(options, object))
      .map(([, object]) => object);
    return { items, resourceVersion: String(this.#version) };
  }

  watch(
    resource: string,
    options: ListOptions & { resourceVersion: string },
    handler: (event: WatchEvent) => void,
  ): { close(): void } {
    const watcher = { resource, options, handler };
    this.#watchers.add(watcher);
    return {
      close: () => {
        this.#watchers.delete(watcher);
      },
    };
  }

  async create(
    resource: string,
    object: KubernetesObject,
    options: { subresource?: string } = {},
  ): Promise<StoredObject> {
    const copy = structuredClone(object) as StoredObject;
    const namespace = copy.metadata.namespace;
    if (options.subresource === 'token') return this.#token(copy);
    if (options.subresource === 'binding') {
      const target = copy['target'] as { name: string };
      return this.patch('pods', namespace, copy.metadata.name ?? '', {
        spec: { nodeName: target.name },
        status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'True' }] },
      });
    }
    copy.metadata.name ??= `${copy.metadata.generateName ?? ''}${randomUUID().slice(0, 5)}`;
    const k = key(resource, namespace, copy.metadata.name);
    if (this.#objects.has(k)) throw failure(409, 'AlreadyExists', `${k} already exists`);
    copy.metadata.uid = randomUUID();
    copy.metadata.creationTimestamp = new Date(this.now()).toISOString();
    if (!WITHOUT_GENERATION.has(resource)) copy.metadata.generation = 1;
    return this.#store(resource, 'ADDED', copy);
  }

  async update(
    resource: string,
    object: KubernetesObject,
    options: { subresource?: string } = {},
  ): Promise<StoredObject> {
    const copy = structuredClone(object) as StoredObject;
    const old = this.#existing(resource, copy.metadata.namespace, copy.metadata.name ?? '');
    if (
      copy.metadata.resourceVersion !== undefined &&
      copy.metadata.resourceVersion !== old.metadata.resourceVersion
    )
      throw failure(409, 'Conflict', 'the object has been modified');
    const next: StoredObject =
      options.subresource === 'status'
        ? { ...structuredClone(old), status: copy['status'] }
        : { ...copy, status: old['status'] };
    if (options.subresource === 'finalize') next['spec'] = copy['spec'];
    return this.#put(resource, old, next);
  }

  async patch(
    resource: string,
    namespace: string | undefined,
    name: string,
    patch: unknown,
  ): Promise<StoredObject> {
    const old = this.#existing(resource, namespace, name);
    return this.#put(resource, old, mergePatch(old, patch) as StoredObject);
  }

  async delete(
    resource: string,
    namespace: string | undefined,
    name: string,
    options: NonNullable<Parameters<LoopbackClient['delete']>[3]> = {},
  ): Promise<void> {
    const old = this.#existing(resource, namespace, name);
    const uid = options.preconditions?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) throw failure(409, 'Conflict', 'uid differs');
    const next = structuredClone(old);
    const finalizers = new Set(next.metadata.finalizers);
    if (options.propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion');
    if (options.propagationPolicy === 'Orphan') finalizers.add('orphan');
    next.metadata.finalizers = [...finalizers];
    const spec = next['spec'] as { nodeName?: string; terminationGracePeriodSeconds?: number } | undefined;
    const bound = resource === 'pods' && spec?.nodeName !== undefined;
    const grace = bound ? (options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) : 0;
    const finalize = resource === 'namespaces';
    if (finalizers.size === 0 && grace === 0 && !finalize) {
      this.#remove(resource, old);
      return;
    }
    next.metadata.deletionTimestamp ??= new Date(this.now() + grace * 1000).toISOString();
    next.metadata.deletionGracePeriodSeconds = grace;
    this.#store(resource, 'MODIFIED', next);
  }

  /** For tests: puts an object as it is, with a name, a uid and a version. */
  async seed<T extends KubernetesObject>(resource: string, object: T): Promise<T> {
    return (await this.create(resource, object)) as KubernetesObject as T;
  }

  #token(request: StoredObject): StoredObject {
    const spec = request['spec'] as { expirationSeconds?: number; audiences?: string[] };
    const seconds = spec.expirationSeconds ?? 3600;
    request['status'] = {
      token: `token-${this.tokenRequests.length + 1}-${(spec.audiences ?? []).join(',')}`,
      expirationTimestamp: new Date(this.now() + seconds * 1000).toISOString(),
    };
    this.tokenRequests.push(request);
    return request;
  }

  #existing(resource: string, namespace: string | undefined, name: string): StoredObject {
    const found = this.get(resource, namespace, name);
    if (found === undefined) throw failure(404, 'NotFound', `${resource} "${name}" not found`);
    return found;
  }

  #put(resource: string, old: StoredObject, next: StoredObject): StoredObject {
    next.metadata.uid = old.metadata.uid ?? '';
    if (JSON.stringify(old['spec']) !== JSON.stringify(next['spec']) && old.metadata.generation !== undefined)
      next.metadata.generation = old.metadata.generation + 1;
    const spec = next['spec'] as { finalizers?: string[] } | undefined;
    const finalizing = (next.metadata.finalizers ?? []).length > 0 || (spec?.finalizers ?? []).length > 0;
    const graceful = (next.metadata.deletionGracePeriodSeconds ?? 0) > 0;
    if (next.metadata.deletionTimestamp !== undefined && !finalizing && !graceful)
      return this.#remove(resource, old);
    return this.#store(resource, 'MODIFIED', next);
  }

  #store(resource: string, type: 'ADDED' | 'MODIFIED', object: StoredObject): StoredObject {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    this.#objects.set(key(resource, object.metadata.namespace, object.metadata.name ?? ''), object);
    this.#tell(resource, { type, object });
    return object;
  }

  #remove(resource: string, object: StoredObject): StoredObject {
    this.#version += 1;
    this.#objects.delete(key(resource, object.metadata.namespace, object.metadata.name ?? ''));
    this.#tell(resource, { type: 'DELETED', object });
    return object;
  }

  #tell(resource: string, event: Exclude<WatchEvent, { type: 'BOOKMARK' }>): void {
    for (const watcher of this.#watchers)
      if (watcher.resource === resource && selects(watcher.options, event.object)) watcher.handler(event);
  }
}

function key(resource: string, namespace: string | undefined, name: string): string {
  return `${resource}|${namespace ?? ''}|${name}`;
}

function failure(code: number, reason: string, message: string): ApiError {
  return new ApiError({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });
}
