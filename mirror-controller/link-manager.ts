import type { Link } from '../api/isthmus-types.ts';
import type { EndpointSlice, KubernetesObject, Secret, Service } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { ControllerMetrics, Outcome } from '../kubernetes/controller.ts';
import { keyOf } from '../kubernetes/object-key.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import type { Reflector, ReflectorMetrics } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import { KubernetesError } from '../kubernetes/types.ts';
import type { Resource } from '../kubernetes/types.ts';
import { planLink } from './link-plan.ts';
import { LinkSupervisor } from './link-supervisor.ts';
import type { LinkContext } from './link-supervisor.ts';
import { mirrorSelector } from './mirror-objects.ts';

export interface LinkManagerOptions extends LinkContext {
  meshNamespace: string;
  controllerMetrics?: ControllerMetrics;
  reflectorMetrics?: ReflectorMetrics;
}

const LINK_SECRET_TYPE = 'mirror.linkerd.io/remote-kubeconfig';
const BY_CLUSTER = 'cluster';
const BY_SECRET = 'secret';
/** Links are started and stopped side by side, so that one that is slow to stop holds up no other. */
const CONCURRENCY = 8;
/** A link's failed start or clean-up is tried again at least this often. */
const MAX_RETRY_MS = 30_000;

/** Runs a supervisor for each Link of the mesh namespace, and removes the mirrors of clusters that are no longer linked. */
export class LinkManager {
  readonly #options: LinkManagerOptions;
  readonly #links: Reflector<Link>;
  readonly #secrets: Reflector<Secret>;
  readonly #services: Reflector<Service>;
  readonly #slices: Reflector<EndpointSlice>;
  readonly #controller: Controller;
  readonly #supervisors = new Map<string, LinkSupervisor>();

  constructor(options: LinkManagerOptions) {
    const { client, meshNamespace, clock, logger, random, reflectorMetrics, backoff } = options;
    this.#options = options;
    const follow = {
      clock,
      logger,
      random,
      ...(reflectorMetrics === undefined ? {} : { metrics: reflectorMetrics }),
      ...(backoff === undefined ? {} : { backoff }),
    };
    const inMesh = { ...follow, namespace: meshNamespace };
    this.#links = createReflector(client, resources.links, inMesh);
    this.#secrets = createReflector(client, resources.secrets, { ...inMesh, transform: withoutOtherSecrets });
    const mirrors = { ...follow, labelSelector: mirrorSelector() };
    this.#services = createReflector(client, resources.services, { ...mirrors, transform: onlyMetadata });
    this.#slices = createReflector(client, resources.endpointSlices, {
      ...mirrors,
      transform: (slice) => ({ ...onlyMetadata(slice), addressType: slice.addressType, endpoints: [] }),
    });
    this.#controller = new Controller({
      name: 'links',
      reconcile: (name) => this.#reconcile(name),
      concurrency: CONCURRENCY,
      maxDelayMs: MAX_RETRY_MS,
      clock,
      logger,
      ...(options.controllerMetrics === undefined ? {} : { metrics: options.controllerMetrics }),
    });
  }

  /** Everything that is known has been looked at once the caches have their first list. */
  get synced(): boolean {
    return this.#reflectors().every((r) => r.hasSynced);
  }

  /** Runs until `signal` aborts; then the workers end and the mirrors stay. */
  async run(signal: AbortSignal): Promise<void> {
    this.#subscribe();
    for (const reflector of this.#reflectors()) reflector.start();
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([ended, Promise.all(this.#reflectors().map((r) => r.synced))]);
    if (!signal.aborted) this.#controller.start();
    await ended;
    await this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#controller.stop();
    await Promise.all([
      ...this.#reflectors().map((r) => r.stop()),
      ...[...this.#supervisors.values()].map((s) => s.stop()),
    ]);
    this.#supervisors.clear();
  }

  #reflectors(): Pick<Reflector<KubernetesObject>, 'start' | 'stop' | 'synced' | 'hasSynced'>[] {
    return [this.#links, this.#secrets, this.#services, this.#slices];
  }

  #subscribe(): void {
    this.#links.addIndex(BY_SECRET, (link) => secretNames(link));
    this.#services.addIndex(BY_CLUSTER, clusterOf);
    this.#slices.addIndex(BY_CLUSTER, clusterOf);
    const byName = ({ metadata }: Link): void => this.#controller.enqueue(metadata?.name ?? '');
    this.#links.subscribe({ add: byName, update: byName, delete: byName });
    const bySecret = ({ metadata }: Secret): void => {
      for (const link of this.#links.byIndex(BY_SECRET, metadata?.name ?? '')) byName(link);
    };
    this.#secrets.subscribe({ add: bySecret, update: bySecret, delete: bySecret });
    const byCluster = (mirror: KubernetesObject): void => {
      for (const cluster of clusterOf(mirror))
        if (this.#link(cluster) === undefined) this.#controller.enqueue(cluster);
    };
    this.#services.subscribe({ add: byCluster, update: byCluster });
    this.#slices.subscribe({ add: byCluster, update: byCluster });
  }

  /** A Link by the name of its cluster; one that is being deleted counts as gone. */
  #link(name: string): Link | undefined {
    const link = this.#links.get(keyOf(this.#options.meshNamespace, name));
    return link?.metadata?.deletionTimestamp === undefined ? link : undefined;
  }

  async #reconcile(name: string): Promise<Outcome> {
    const link = this.#link(name);
    if (link === undefined) await this.#unlink(name);
    else await this.#follow(name, link);
    return { kind: 'done' };
  }

  async #follow(name: string, link: Link): Promise<void> {
    const { meshNamespace, ownClusterId } = this.#options;
    const secret = (secretName: string): Secret | undefined =>
      this.#secrets.get(keyOf(meshNamespace, secretName));
    const plan = await planLink(link, ownClusterId, secret);
    const supervisor = this.#supervisors.get(name) ?? new LinkSupervisor(this.#options, link);
    this.#supervisors.set(name, supervisor);
    await supervisor.update(plan, link.metadata?.generation);
  }

  /** Needs nothing of the target: it may be dead. The worker ends first, so that it does not make what goes. */
  async #unlink(name: string): Promise<void> {
    await this.#supervisors.get(name)?.stop();
    this.#supervisors.delete(name);
    await this.#deleteAll(resources.endpointSlices, this.#slices.byIndex(BY_CLUSTER, name));
    await this.#deleteAll(resources.services, this.#services.byIndex(BY_CLUSTER, name));
  }

  async #deleteAll(resource: Resource, objects: readonly KubernetesObject[]): Promise<void> {
    for (const { metadata } of objects) {
      const precondition = metadata?.uid === undefined ? {} : { preconditions: { uid: metadata.uid } };
      try {
        await this.#options.client.delete(resource, metadata?.namespace, metadata?.name ?? '', precondition);
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.code !== 404) throw error;
      }
    }
  }
}

function clusterOf({ metadata }: KubernetesObject): string[] {
  const cluster = metadata?.labels?.[label.mirrorCluster];
  return cluster === undefined ? [] : [cluster];
}

/** A Link as anyone may have written it: its spec may not be a map at all. */
function secretNames(link: Link): string[] {
  const spec = link.spec as Partial<Link['spec']> | null | undefined;
  const name: unknown = spec?.clusterCredentialsSecret;
  return typeof name === 'string' ? [name] : [];
}

/** Other Secrets of the namespace (the issuer's key) are none of our business and not kept. */
function withoutOtherSecrets(secret: Secret): Secret {
  if (secret.type === LINK_SECRET_TYPE) return secret;
  const { data: _data, stringData: _stringData, ...rest } = secret;
  return rest;
}

function onlyMetadata<T extends KubernetesObject>(object: T): { metadata: NonNullable<T['metadata']> } {
  return { metadata: object.metadata ?? {} };
}
