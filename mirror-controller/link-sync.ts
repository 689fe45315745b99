import type { EndpointSlice, KubernetesObject, Namespace, Service } from '../api/kubernetes-types.ts';
import { CLUSTER_ID_PROPERTY, component, GROUP_VERSION, label } from '../api/names.ts';
import { backoffMs, sleep, systemClock } from '../kubernetes/clock.ts';
import type { BackoffBounds, Clock, Timer } from '../kubernetes/clock.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { Outcome } from '../kubernetes/controller.ts';
import { createEventRecorder } from '../kubernetes/events.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import { formatSelector } from '../kubernetes/labels.ts';
import { errorMessage } from '../kubernetes/log.ts';
import type { Log } from '../kubernetes/log.ts';
import { keyOf, objectKey } from '../kubernetes/object-key.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import type { Reflector, ReflectorState } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import { KubernetesError } from '../kubernetes/types.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import type { LinkSettings } from './link-settings.ts';
import type { ApiState, IdentityState, LinkReport, MirrorStatus } from './messages.ts';
import { mirrorSelector } from './mirror-objects.ts';
import type { GatewayView } from './mirror-objects.ts';
import { keyOfMirror, MirrorReconciler } from './mirror-reconciler.ts';
import {
  gatewayOf,
  hasEndpoint,
  isActive,
  sliceService,
  slimNamespace,
  slimSlice,
} from './target-objects.ts';

export interface LinkSyncOptions {
  settings: LinkSettings;
  ownClusterId: string;
  local: KubernetesClient;
  remote: KubernetesClient;
  link: { name: string; namespace: string; uid: string };
  gateway: GatewayView;
  onReport: (report: LinkReport) => void;
  logger: Log;
  backoff?: BackoffBounds;
  clock?: Clock;
}

/** Changes within this time are one report. */
const REPORT_DELAY_MS = 50;
/** Writes to the local API at a time: a large target must not crowd it. */
const CONCURRENCY = 4;
/** A service whose write fails is tried again at least this often. */
const MAX_RETRY_MS = 30_000;
const DEFAULT_BACKOFF: BackoffBounds = { initialMs: 500, maxMs: 15_000 };
/** Slices of large services are tens of kB each: a page must stay far below the cap on an answer. */
const REMOTE_PAGE_SIZE = 100;
const BY_SERVICE = 'service';
const BY_NAMESPACE = 'namespace';

/** The API side of one link: follows the target, keeps the mirrors, and reports. Runs in the link's worker thread. */
export class LinkSync {
  readonly #options: LinkSyncOptions;
  readonly #clock: Clock;
  readonly #backoff: BackoffBounds;
  readonly #events: EventRecorder;
  readonly #controller: Controller;
  readonly #reconciler: MirrorReconciler;
  readonly #remoteServices: Reflector<Service> | undefined;
  readonly #remoteSlices: Reflector<EndpointSlice> | undefined;
  readonly #gatewayService: Reflector<Service>;
  readonly #localServices: Reflector<Service>;
  readonly #localSlices: Reflector<EndpointSlice>;
  readonly #namespaces: Reflector<Namespace>;
  readonly #stopping = new AbortController();
  readonly #background: Promise<void>[] = [];
  /** Keys that wait for their first or next successful reconciliation. */
  readonly #pending = new Set<string>();
  readonly #changed = new Map<string, MirrorStatus | null>();
  readonly #failures = new Map<string, unknown>();
  #gateway: GatewayView;
  #identity: IdentityState = { kind: 'unknown' };
  #heard = false;
  #repairs = 0;
  #reportTimer: Timer | undefined;

  constructor(options: LinkSyncOptions) {
    const { settings, local, remote, link } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF;
    this.#gateway = options.gateway;
    this.#events = createEventRecorder(local, { component: component.mirrorController });
    this.#controller = new Controller({
      name: `mirror-${link.name}`,
      reconcile: (key) => this.#reconcile(key),
      concurrency: CONCURRENCY,
      maxDelayMs: MAX_RETRY_MS,
      clock: this.#clock,
      logger: options.logger,
    });
    const follow = { clock: this.#clock, logger: options.logger, backoff: this.#backoff };
    if (settings.selector !== undefined) {
      const labelSelector = formatSelector(settings.selector);
      const watched = (name: string) => ({
        ...follow,
        pageSize: REMOTE_PAGE_SIZE,
        onState: this.#watchState(name),
      });
      this.#remoteServices = createReflector(remote, resources.services, {
        ...watched('services'),
        labelSelector,
      });
      this.#remoteSlices = createReflector(remote, resources.endpointSlices, {
        ...watched('endpointslices'),
        transform: slimSlice,
      });
    }
    this.#gatewayService = createReflector(remote, resources.services, {
      ...follow,
      onState: this.#watchState('gateway'),
      namespace: settings.gateway.serviceNamespace,
      fieldSelector: `metadata.name=${settings.gateway.serviceName}`,
    });
    const own = { ...follow, labelSelector: mirrorSelector(settings.target) };
    this.#localServices = createReflector(local, resources.services, own);
    this.#localSlices = createReflector(local, resources.endpointSlices, own);
    this.#namespaces = createReflector(local, resources.namespaces, { ...follow, transform: slimNamespace });
    this.#reconciler = this.#makeReconciler();
  }

  start(): void {
    this.#remoteSlices?.addIndex(BY_SERVICE, sliceService);
    this.#localSlices.addIndex(BY_SERVICE, sliceService);
    this.#remoteServices?.addIndex(BY_NAMESPACE, (s) => [s.metadata?.namespace ?? '']);
    this.#subscribe();
    for (const reflector of this.#reflectors()) reflector.start();
    this.#background.push(this.#confirmIdentity(), this.#begin());
  }

  /** A new view of the gateway: every mirror follows. */
  setGateway(gateway: GatewayView): void {
    this.#gateway = gateway;
    this.#enqueueAll();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#reportTimer?.cancel();
    await this.#controller.stop();
    await Promise.all([...this.#reflectors().map((r) => r.stop()), this.#events.stop(), ...this.#background]);
  }

  #reflectors(): Reflector<KubernetesObject>[] {
    const remote = [this.#remoteServices, this.#remoteSlices].filter((r) => r !== undefined);
    return [...remote, this.#gatewayService, this.#localServices, this.#localSlices, this.#namespaces];
  }

  #makeReconciler(): MirrorReconciler {
    const { settings, local } = this.#options;
    return new MirrorReconciler({
      settings,
      client: local,
      gateway: () => this.#gateway,
      remote: {
        trusted: () => this.#trusted(),
        service: (key) => this.#remoteServices?.get(key),
        hasEndpoints: (key) => (this.#remoteSlices?.byIndex(BY_SERVICE, key) ?? []).some(hasEndpoint),
      },
      local: {
        mirror: (namespace, name) => this.#localServices.get(keyOf(namespace, name)),
        slices: (namespace, name) => this.#localSlices.byIndex(BY_SERVICE, keyOf(namespace, name)),
        namespaceExists: (name) => isActive(this.#namespaces.get(name)),
      },
      report: (key, status) => this.#noteMirror(key, status),
      repaired: () => {
        this.#repairs += 1;
      },
    });
  }

  #subscribe(): void {
    const { target } = this.#options.settings;
    const byService = (object: KubernetesObject): void => this.#enqueue(objectKey(object));
    this.#remoteServices?.subscribe({ add: byService, update: byService, delete: byService });
    const byRemoteSlice = (slice: EndpointSlice): void => {
      for (const key of sliceService(slice))
        if (this.#remoteServices?.get(key) !== undefined) this.#enqueue(key);
    };
    this.#remoteSlices?.subscribe({ add: byRemoteSlice, update: byRemoteSlice, delete: byRemoteSlice });
    const byMirror = ({ metadata }: KubernetesObject): void =>
      this.#enqueue(keyOfMirror(metadata?.namespace, metadata?.name ?? '', target));
    this.#localServices.subscribe({ add: byMirror, update: byMirror, delete: byMirror });
    const byMirrorSlice = ({ metadata }: KubernetesObject): void => {
      const mirror = metadata?.labels?.[label.sliceServiceName];
      if (mirror !== undefined) this.#enqueue(keyOfMirror(metadata?.namespace, mirror, target));
    };
    this.#localSlices.subscribe({ add: byMirrorSlice, update: byMirrorSlice, delete: byMirrorSlice });
    const byNamespace = ({ metadata }: KubernetesObject): void => {
      for (const service of this.#remoteServices?.byIndex(BY_NAMESPACE, metadata?.name ?? '') ?? [])
        byService(service);
    };
    this.#namespaces.subscribe({ add: byNamespace, update: byNamespace, delete: byNamespace });
    const byGateway = (): void => this.#reportSoon();
    this.#gatewayService.subscribe({ add: byGateway, update: byGateway, delete: byGateway });
  }

  /** Nothing is written before this cluster's own state is known; the target may still be away by then. */
  async #begin(): Promise<void> {
    const stopped = aborted(this.#stopping.signal);
    await Promise.race([
      stopped,
      Promise.all([this.#localServices.synced, this.#localSlices.synced, this.#namespaces.synced]),
    ]);
    if (this.#stopping.signal.aborted) return;
    this.#controller.start();
    await Promise.race([stopped, Promise.all([this.#remoteServices?.synced, this.#remoteSlices?.synced])]);
    if (this.#stopping.signal.aborted) return;
    this.#enqueueAll();
    this.#reportSoon();
  }

  /** Asks the target which cluster it is, until it answers. One without the property (or the right to read it) is believed. */
  async #confirmIdentity(): Promise<void> {
    const { remote, ownClusterId, settings } = this.#options;
    for (let attempt = 1; !this.#stopping.signal.aborted; attempt += 1) {
      try {
        const property = await remote.get(resources.clusterProperties, undefined, CLUSTER_ID_PROPERTY);
        this.#identity = judgeIdentity(property.spec?.value, ownClusterId, settings.target);
        break;
      } catch (error) {
        if (error instanceof KubernetesError && (error.code === 404 || error.code === 403)) {
          this.#identity = { kind: 'confirmed' };
          break;
        }
        await sleep(this.#clock, backoffMs(attempt, this.#backoff, Math.random), this.#stopping.signal);
      }
    }
    this.#enqueueAll();
    this.#reportSoon();
  }

  #trusted(): boolean {
    const synced = this.#remoteServices?.hasSynced !== false && this.#remoteSlices?.hasSynced !== false;
    return synced && this.#identity.kind === 'confirmed';
  }

  async #reconcile(key: string): Promise<Outcome> {
    const outcome = await this.#reconciler.reconcile(key);
    this.#pending.delete(key);
    this.#reportSoon();
    return outcome;
  }

  #enqueue(key: string): void {
    this.#pending.add(key);
    this.#controller.enqueue(key);
  }

  #enqueueAll(): void {
    const { target } = this.#options.settings;
    for (const service of this.#remoteServices?.list() ?? []) this.#enqueue(objectKey(service));
    for (const { metadata } of this.#localServices.list()) {
      this.#enqueue(keyOfMirror(metadata?.namespace, metadata?.name ?? '', target));
    }
  }

  #noteMirror(key: string, status: MirrorStatus | undefined): void {
    this.#changed.set(key, status ?? null);
    this.#reportSoon();
    if (status?.problem?.reason !== 'MissingNamespace') return;
    const { link } = this.#options;
    const about = { apiVersion: GROUP_VERSION, kind: 'Link', metadata: link };
    this.#events.record(
      about,
      'Normal',
      'ServiceMirroringSkipped',
      `Skipped mirroring service ${key}: ${status.problem.message}`,
    );
  }

  #watchState(name: string): (state: ReflectorState) => void {
    return (state) => {
      if (state.kind === 'backing-off') this.#failures.set(name, state.error);
      else if (state.kind === 'watching') {
        this.#failures.delete(name);
        this.#heard = true;
      } else return;
      this.#reportSoon();
    };
  }

  #reportSoon(): void {
    if (this.#stopping.signal.aborted) return;
    this.#reportTimer ??= this.#clock.after(REPORT_DELAY_MS, () => {
      this.#reportTimer = undefined;
      this.#report();
    });
  }

  #report(): void {
    const api = this.#apiState();
    const remote = [this.#remoteServices, this.#remoteSlices, this.#gatewayService].filter(
      (r) => r !== undefined,
    );
    this.#options.onReport({
      api,
      identity: this.#identity,
      gatewayService: gatewayOf(this.#gatewayService.list()[0]),
      synced: api.kind === 'reachable' && this.#trusted() && this.#pending.size === 0,
      stalenessMs: Math.max(...remote.map((r) => r.stalenessMs())),
      mirrors: [...this.#changed],
      repairs: this.#repairs,
    });
    this.#changed.clear();
    this.#repairs = 0;
  }

  #apiState(): ApiState {
    for (const error of this.#failures.values()) {
      const known = error instanceof KubernetesError ? error : undefined;
      return {
        kind: 'failing',
        code: known?.code ?? 0,
        reason: known?.reason ?? 'ConnectionFailed',
        message: errorMessage(error),
      };
    }
    return { kind: this.#heard ? 'reachable' : 'untried' };
  }
}

function judgeIdentity(clusterId: string | undefined, own: string, target: string): IdentityState {
  if (clusterId === own) return { kind: 'self' };
  if (clusterId !== undefined && clusterId !== target) return { kind: 'another', clusterId };
  return { kind: 'confirmed' };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
