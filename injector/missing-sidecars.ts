import { Gauge, type Registry } from 'prom-client';
import type { KubernetesObject, Namespace, Pod } from '../api/kubernetes-types.ts';
import type { Clock, Timer } from '../kubernetes/clock.ts';
import type { EventRecorder } from '../kubernetes/events.ts';
import type { Log } from '../kubernetes/log.ts';
import { createReflector, type Reflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { lacksSidecar, trimUnmeshedPod, WITHOUT_SIDECAR } from './lacks-sidecar.ts';
import { controllerOf, type PodOwner } from './pod-owner.ts';
import type { InjectionSettings } from './should-inject.ts';

/** Milliseconds that changes are gathered for: a rollout is looked at once. */
const SETTLE_MS = 1_000;
/** Milliseconds between looks when nothing changes: some may have to be told again. */
const AGAIN_MS = 60_000;
/** Milliseconds until an owner whose pods still lack their sidecars is told again: by then the API server has dropped the last event. */
const REPEAT_MS = 3_600_000;
/** Owners told in one look: in a cluster that has just been meshed there may be hundreds. */
const MAX_TOLD = 20;

export interface MissingSidecarsDeps {
  client: KubernetesClient;
  namespaces: Reflector<Namespace>;
  /** As they are now. */
  settings: () => InjectionSettings;
  recorder: EventRecorder;
  ownerOf: PodOwner;
  /** Calls `lead` for as long as this replica is the one that tells; ends when `signal` aborts. All count, one speaks. */
  elect: (lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal) => Promise<void>;
  registry: Registry;
  clock: Clock;
  random: () => number;
  log: Log;
}

/**
 * Reports pods that run without the sidecar that they ask for (the webhook's failure policy lets a pod start when the
 * webhook is away): a gauge by namespace in every replica, and events on what owns them, told by one replica.
 */
export class MissingSidecars {
  readonly #deps: MissingSidecarsDeps;
  readonly #pods: Reflector<Pod>;
  readonly #gauge: Gauge;
  readonly #stopping = new AbortController();
  /** When each owner was told, by the uid of what controls the pod. */
  readonly #told = new Map<string, number>();
  #leading = false;
  #timer: Timer | undefined;
  #soon = false;
  #election: Promise<void> = Promise.resolve();
  #unsubscribe: readonly (() => void)[] = [];

  constructor(deps: MissingSidecarsDeps) {
    this.#deps = deps;
    const { client, log, clock, random } = deps;
    this.#pods = createReflector(client, resources.pods, {
      labelSelector: WITHOUT_SIDECAR,
      transform: trimUnmeshedPod,
      logger: log,
      clock,
      random,
    });
    this.#gauge = new Gauge({
      name: 'isthmus_injector_pods_without_proxy',
      help: 'Pods that run without the sidecar that they ask for, by namespace.',
      labelNames: ['namespace'],
      registers: [deps.registry],
    });
  }

  start(): void {
    const { namespaces, elect } = this.#deps;
    const changed = (): void => this.lookSoon();
    const handler = { add: changed, update: changed, delete: changed };
    this.#unsubscribe = [this.#pods.subscribe(handler), namespaces.subscribe(handler)];
    this.#pods.start();
    void this.#pods.synced.then(changed);
    void namespaces.synced.then(changed);
    this.#election = elect((signal) => this.#lead(signal), this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await Promise.all([this.#pods.stop(), this.#election]);
  }

  /** Something changed that the verdicts depend on. */
  lookSoon(): void {
    if (this.#soon || this.#stopping.signal.aborted) return;
    this.#soon = true;
    this.#arm(SETTLE_MS);
  }

  async #lead(signal: AbortSignal): Promise<void> {
    this.#leading = true;
    this.lookSoon();
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    this.#leading = false;
  }

  #arm(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(ms, () => this.#look());
  }

  #look(): void {
    this.#soon = false;
    if (this.#stopping.signal.aborted) return;
    this.#arm(AGAIN_MS);
    const { namespaces, settings } = this.#deps;
    if (!this.#pods.hasSynced || !namespaces.hasSynced) return;
    const now = settings();
    const missing = this.#pods.list().filter((pod) => {
      const name = pod.metadata?.namespace ?? '';
      return lacksSidecar(pod, { name, metadata: namespaces.get(name)?.metadata }, now);
    });
    this.#count(missing);
    if (this.#leading) this.#tell(missing);
  }

  #count(missing: readonly Pod[]): void {
    this.#gauge.reset();
    for (const { metadata } of missing) this.#gauge.inc({ namespace: metadata?.namespace ?? '' });
  }

  #tell(missing: readonly Pod[]): void {
    const byOwner = new Map(missing.map((pod) => [ownerKey(pod), pod]));
    for (const key of this.#told.keys()) if (!byOwner.has(key)) this.#told.delete(key);
    const { clock, ownerOf, recorder } = this.#deps;
    const now = clock.now();
    const due = [...byOwner].filter(([key]) => now - (this.#told.get(key) ?? -Infinity) >= REPEAT_MS);
    for (const [key, pod] of due.slice(0, MAX_TOLD)) {
      this.#told.set(key, now);
      void ownerOf(pod, pod.metadata?.namespace ?? '').then((owner) =>
        recorder.record(owner, 'Warning', 'SidecarMissing', messageFor(owner)),
      );
    }
    if (due.length > MAX_TOLD) this.lookSoon();
  }
}

function ownerKey(pod: Pod): string {
  return controllerOf(pod)?.uid ?? pod.metadata?.uid ?? '';
}

const RESTARTED: ReadonlySet<string | undefined> = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

/** The same for every pod of an owner, so that the recorder counts instead of writing anew. */
function messageFor({ kind, metadata }: KubernetesObject): string {
  const { name, namespace } = metadata ?? {};
  const remedy = RESTARTED.has(kind)
    ? `restart them: kubectl -n ${namespace} rollout restart ${kind?.toLowerCase()}/${name}`
    : 'make them anew';
  return `pods run without the sidecar that they ask for, since the injector was not asked when they were made; ${remedy}`;
}
