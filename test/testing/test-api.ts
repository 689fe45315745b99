import { randomBytes } from 'node:crypto';
import { applyCustomResourceDefinitions } from '../../cli/install/apply.ts';
import { customResourceDefinitions } from '../../cli/install/manifests.ts';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { createClient } from '../../kubernetes/client.ts';
import { keyOf, objectKey } from '../../kubernetes/object-key.ts';
import { createReflector, type Reflector } from '../../kubernetes/reflector.ts';
import { resourcePath, resources } from '../../kubernetes/resources.ts';
import {
  type ClientConfig,
  type KubernetesClient,
  KubernetesError,
  type Resource,
} from '../../kubernetes/types.ts';
import { apiServerUnderTest, type RunningApiServer, type ServerKind } from './api-server.ts';

/** Longest that something is waited for; a real API server with a controller manager takes a second or two for most things. Milliseconds. */
const UNTIL_MS = 60_000;
/** How often a condition is looked at that no change in the API has made true. Milliseconds. */
const LOOK_EVERY_MS = 25;
/** Tries of a write that another client's writes get in the way of. */
const WRITE_TRIES = 10;
/** What a namespace is given of itself. */
const GIVEN = new Set(['configmaps/kube-root-ca.crt', 'serviceaccounts/default']);

/** An object that was put, and how it is deleted. */
interface Made {
  resource: Resource;
  namespace: string | undefined;
  name: string;
}

/**
 * An API server as the suite of a controller uses it: writes as another client would, and a view of what is there that follows the server. The same suite
 * runs on an embedded and on a real server. It works in namespaces of its own, with names of its own, and takes away what it made.
 */
export class TestApi {
  readonly kind: ServerKind;
  readonly config: ClientConfig;
  /** As a cluster-admin. */
  readonly client: KubernetesClient;
  /** Random, a part of names. */
  readonly id = randomBytes(3).toString('hex');
  readonly #server: RunningApiServer;
  readonly #views = new Map<string, Reflector<KubernetesObject>>();
  readonly #resources = new Map<string, Resource>();
  readonly #namespaces = new Set<string>();
  readonly #made = new Map<string, Made>();
  readonly #waiters = new Set<() => void>();

  constructor(server: RunningApiServer) {
    this.#server = server;
    this.kind = server.kind;
    this.config = server.config;
    this.client = createClient(server.config, { userAgent: 'test' });
  }

  /** Makes the kinds of the mesh known to the server, and follows `watched`; resolves when it is all seen. */
  async start(watched: readonly Resource[]): Promise<void> {
    await applyCustomResourceDefinitions(this.client, customResourceDefinitions());
    for (const resource of new Set([resources.namespaces, ...watched])) {
      const view = createReflector<KubernetesObject>(this.client, resource);
      const wake = (): void => this.#wake();
      view.subscribe({ add: wake, update: wake, delete: wake });
      view.start();
      const path = resourcePath(resource, undefined);
      this.#views.set(path, view);
      this.#resources.set(path, resource);
    }
    await Promise.all([...this.#views.values()].map((view) => view.synced));
  }

  /** The name that stands for `name` in this suite. */
  named(name: string): string {
    return `${name}-${this.id}`;
  }

  /** Makes the namespace that stands for `name`, and answers what it is called. It goes with the suite. */
  async namespace(name: string, metadata: KubernetesObject['metadata'] = {}): Promise<string> {
    const called = this.named(name);
    this.#namespaces.add(called);
    const body = { metadata: { ...metadata, name: called } };
    await this.#shown(resources.namespaces, await this.client.create(resources.namespaces, body));
    return called;
  }

  /** Creates or replaces an object as another client would, its status too; resolves when the view shows it. */
  async put<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T> {
    const { namespace, name = '' } = object.metadata ?? {};
    const path = resourcePath(resource, namespace, name);
    if (resource === resources.namespaces) this.#namespaces.add(name);
    else this.#made.set(path, { resource, namespace, name });
    const written = await retried(() => this.#write(resource, object));
    await this.#shown(resource, written);
    return written;
  }

  /** Deletes an object as another client would; resolves when the view has that very object no more. */
  async remove(resource: Resource, namespace: string | undefined, name: string): Promise<void> {
    const { uid } = (await this.client.get(resource, namespace, name)).metadata ?? {};
    await this.client.delete(resource, namespace, name, { propagationPolicy: 'Background' });
    // A controller may have made its successor before anybody looks: the name alone may never be seen to be free.
    await this.until(() => this.#view(resource)?.get(keyOf(namespace, name))?.metadata?.uid !== uid);
  }

  /** An object as the view has it. Throws when its resource is not watched. */
  find<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): T | undefined {
    return this.#watched(resource).get(keyOf(namespace, name)) as T | undefined;
  }

  /** The objects of the suite's own namespaces as the view has them, or all where the resource has no namespaces. */
  list<T extends KubernetesObject>(resource: Resource<T>): T[] {
    return (this.#watched(resource).list() as T[]).filter((object) => this.#isOwn(resource, object));
  }

  /** Resolves once `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + UNTIL_MS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`waited in vain until ${condition.toString()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_EVERY_MS);
        this.#waiters.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Resolves once the view shows all that the server holds by now: after something has written of which the suite was told another way. */
  async settled(): Promise<void> {
    for (const [path, view] of this.#views) {
      const resource = this.#resources.get(path);
      if (resource === undefined) continue;
      const { items, metadata } = await this.client.list(resource);
      const held = new Set(items.map(objectKey));
      await this.until(
        () =>
          items.every((item) => versionOf(view.get(objectKey(item))) >= versionOf(item)) &&
          view
            .list()
            .every(
              (item) => held.has(objectKey(item)) || versionOf(item) > Number(metadata?.resourceVersion),
            ),
      );
    }
  }

  /** A bearer token of a ServiceAccount. */
  async token(namespace: string, account: string, audiences: readonly string[] = []): Promise<string> {
    const path = `${resourcePath(resources.serviceAccounts, namespace, account)}/token`;
    const { status } = await this.client.raw<{ status: { token: string } }>('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences },
    });
    return status.token;
  }

  /** Deletes what is left of a test in the suite's namespaces, and whatever was put elsewhere. */
  async clear(): Promise<void> {
    for (const [path, resource] of this.#resources) {
      if (!resource.namespaced) continue;
      for (const object of this.#views.get(path)?.list() ?? []) {
        const { namespace, name = '' } = object.metadata ?? {};
        if (this.#isOwn(resource, object))
          this.#made.set(resourcePath(resource, namespace, name), { resource, namespace, name });
      }
    }
    await Promise.all([...this.#made.values()].map((made) => this.#forget(made)));
    this.#made.clear();
  }

  /** Takes everything away that the suite has made, and ends. */
  async close(): Promise<void> {
    await this.clear();
    for (const name of this.#namespaces) await this.#delete(resources.namespaces, undefined, name);
    await Promise.all([...this.#views.values()].map((view) => view.stop()));
    await this.client.close();
    await this.#server.stop();
  }

  async #write<T extends KubernetesObject>(resource: Resource<T>, object: T): Promise<T> {
    const { namespace, name = '' } = object.metadata ?? {};
    const before = await orMissing(this.client.get(resource, namespace, name));
    const { resourceVersion: _given, ...metadata } = object.metadata ?? {};
    const written =
      before === undefined
        ? await this.client.create(resource, { ...object, metadata })
        : await this.client.replace(resource, {
            ...object,
            metadata: { ...metadata, resourceVersion: before.metadata?.resourceVersion ?? '' },
          });
    if (!('status' in object)) return written;
    return this.client.replace(resource, { ...written, status: object.status }, { subresource: 'status' });
  }

  /** Resolves when the view has this form of an object, or one that came after. */
  async #shown(resource: Resource, written: KubernetesObject): Promise<void> {
    const view = this.#view(resource);
    if (view === undefined) return;
    const key = objectKey(written);
    await this.until(() => versionOf(view.get(key)) >= versionOf(written));
  }

  async #forget({ resource, namespace, name }: Made): Promise<void> {
    await this.#delete(resource, namespace, name);
    const view = this.#view(resource);
    if (view !== undefined) await this.until(() => view.get(keyOf(namespace, name)) === undefined);
  }

  async #delete(resource: Resource, namespace: string | undefined, name: string): Promise<void> {
    await orMissing(this.client.delete(resource, namespace, name, { propagationPolicy: 'Background' }));
  }

  #isOwn(resource: Resource, object: KubernetesObject): boolean {
    const { namespace = '', name = '' } = object.metadata ?? {};
    if (resource === resources.namespaces) return this.#namespaces.has(name);
    if (!resource.namespaced) return true;
    return this.#namespaces.has(namespace) && !GIVEN.has(`${resource.plural}/${name}`);
  }

  #view(resource: Resource): Reflector<KubernetesObject> | undefined {
    return this.#views.get(resourcePath(resource, undefined));
  }

  #watched(resource: Resource): Reflector<KubernetesObject> {
    const view = this.#view(resource);
    if (view === undefined) throw new Error(`${resource.plural} are not watched: name them at openTestApi`);
    return view;
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** Opens the API server under test (or the one given) for a suite that looks at these resources. */
export async function openTestApi(
  watched: readonly Resource[],
  server: Promise<RunningApiServer> = apiServerUnderTest(),
): Promise<TestApi> {
  const api = new TestApi(await server);
  await api.start(watched);
  return api;
}

async function retried<T>(write: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await write();
    } catch (error) {
      const inTheWay = error instanceof KubernetesError && error.code === 409;
      if (!inTheWay || tries === WRITE_TRIES) throw error;
    }
  }
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}

/** Revision of an object, 0 when there is none. Revisions grow with every write (KEP-5504). */
function versionOf(object: Pick<KubernetesObject, 'metadata'> | undefined): number {
  return Number(object?.metadata?.resourceVersion ?? '0');
}
