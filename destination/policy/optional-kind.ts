import type { CustomResourceDefinition, KubernetesObject } from '../../api/kubernetes-types.ts';
import { type Log, silentLog } from '../../kubernetes/log.ts';
import { objectKey } from '../../kubernetes/object-key.ts';
import { createReflector, type Reflector, type ReflectorMetrics } from '../../kubernetes/reflector.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import type { KindReading } from './kinds.ts';

/** Follows a kind that a cluster may or may not have, or have later, or in another version. */
export interface OptionalKind {
  /** Resolves once it is known whether the cluster has the kind, and its objects have been listed if so; never rejects. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  stop(): Promise<void>;
}

interface Following<T extends KubernetesObject> {
  readonly version: string;
  readonly reflector: Reflector<T>;
}

/**
 * Watches the kind's definition, and its objects while one of its versions is served.
 * @param set is told of each object, and (undefined) of each that is gone
 */
export function followOptionalKind<T extends KubernetesObject>(
  client: KubernetesClient,
  kind: KindReading<T>,
  set: (key: string, object: T | undefined) => void,
  options: { logger?: Log; metrics?: ReflectorMetrics } = {},
): OptionalKind {
  return new DefinedKind(client, kind, set, options);
}

class DefinedKind<T extends KubernetesObject> implements OptionalKind {
  readonly synced: Promise<void>;
  readonly #client: KubernetesClient;
  readonly #kind: KindReading<T>;
  readonly #set: (key: string, object: T | undefined) => void;
  readonly #options: { logger?: Log; metrics?: ReflectorMetrics };
  readonly #definition: Reflector<CustomResourceDefinition>;
  readonly #resolveSynced: () => void;
  /** Objects that were told and not taken back. */
  readonly #told = new Set<string>();
  readonly #ending = new Set<Promise<void>>();
  #following: Following<T> | undefined;
  #hasSynced = false;

  constructor(
    client: KubernetesClient,
    kind: KindReading<T>,
    set: (key: string, object: T | undefined) => void,
    options: { logger?: Log; metrics?: ReflectorMetrics },
  ) {
    this.#client = client;
    this.#kind = kind;
    this.#set = set;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#resolveSynced = resolve;
    const { plural, group } = kind.resource;
    this.#definition = createReflector(client, resources.customResourceDefinitions, {
      ...options,
      // By name, so that the right to look can be for these names alone, and that others' definitions, which are large, are not read.
      fieldSelector: `metadata.name=${plural}.${group}`,
      transform: trimDefinition,
    });
    this.#definition.subscribe({
      add: (definition) => this.#follow(this.#servedVersion(definition)),
      update: (definition) => this.#follow(this.#servedVersion(definition)),
      delete: () => this.#follow(undefined),
    });
    this.#definition.start();
    void this.#onDefinitionKnown();
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#definition.stop(), this.#following?.reflector.stop(), ...this.#ending]);
  }

  async #onDefinitionKnown(): Promise<void> {
    await this.#definition.synced;
    if (this.#following === undefined) this.#markSynced();
  }

  #servedVersion({ spec, status }: CustomResourceDefinition): string | undefined {
    const established = status?.conditions?.find(({ type }) => type === 'Established');
    if (established?.status !== 'True') return undefined;
    const { resource, older } = this.#kind;
    const served = new Set(spec.versions.filter((version) => version.served).map(({ name }) => name));
    return [resource.version, ...older].find((version) => served.has(version));
  }

  #follow(version: string | undefined): void {
    if (this.#following?.version === version) return;
    const { resource } = this.#kind;
    const { logger = silentLog } = this.#options;
    const before = this.#following;
    this.#following = undefined;
    if (before !== undefined) this.#end(before.reflector);
    if (version === undefined) {
      logger.info({ kind: resource.kind, group: resource.group }, 'the cluster has the kind no more');
      for (const key of this.#told) this.#forget(key);
      return;
    }
    logger.info({ kind: resource.kind, group: resource.group, version }, 'the cluster has the kind');
    this.#following = { version, reflector: this.#start(version) };
  }

  #start(version: string): Reflector<T> {
    const reflector = createReflector(this.#client, { ...this.#kind.resource, version }, this.#options);
    const isCurrent = (): boolean => this.#following?.reflector === reflector;
    const tell = (object: T): void => {
      this.#told.add(objectKey(object));
      this.#set(objectKey(object), object);
    };
    reflector.subscribe({
      add: tell,
      update: tell,
      delete: (object) => {
        if (isCurrent()) this.#forget(objectKey(object));
      },
    });
    reflector.start();
    void this.#onListed(reflector);
    return reflector;
  }

  async #onListed(reflector: Reflector<T>): Promise<void> {
    await reflector.synced;
    if (this.#following?.reflector !== reflector) return;
    // What another version told stays until this one has: for a moment without its policy a port would be open.
    for (const key of this.#told) if (reflector.get(key) === undefined) this.#forget(key);
    this.#markSynced();
  }

  #forget(key: string): void {
    this.#told.delete(key);
    this.#set(key, undefined);
  }

  #end(reflector: Reflector<T>): void {
    const ending = reflector.stop();
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }

  #markSynced(): void {
    this.#hasSynced = true;
    this.#resolveSynced();
  }
}

/** Schemas are most of a definition. */
function trimDefinition({ metadata, spec, status }: CustomResourceDefinition): CustomResourceDefinition {
  const versions = spec.versions.map(({ name, served, storage }) => ({ name, served, storage }));
  return {
    ...(metadata === undefined ? {} : { metadata }),
    spec: { ...spec, versions },
    ...(status === undefined ? {} : { status }),
  };
}
