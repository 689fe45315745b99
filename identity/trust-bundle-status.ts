import type { TrustBundle } from '../api/isthmus-types.ts';
import type { Pod } from '../api/kubernetes-types.ts';
import { component, GROUP_VERSION, object } from '../api/names.ts';
import { findCondition, type NewCondition, setCondition } from '../kubernetes/conditions.ts';
import type { Clock as KubernetesClock } from '../kubernetes/clock.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { Log } from '../kubernetes/log.ts';
import { objectKey } from '../kubernetes/object-key.ts';
import type { Reflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import type { BundleWatch } from './bundle-watch.ts';
import type { AcknowledgementCount } from './trust-bundle-service.ts';

/** ms; however many workloads come and go, a replica writes no more often than this, where nobody says otherwise. */
const REPORT_PERIOD_MS = 1_000;
/** Field owner of what all replicas say alike. */
const SHARED_OWNER = 'isthmus-trust-bundle';

/** ServiceAccounts of our own pods that get their bundles by the stream. */
const STREAMING: ReadonlySet<string> = new Set([component.gateway, component.mirrorController]);

type Status = NonNullable<TrustBundle['status']>;
type Entry = NonNullable<Status['acknowledgements']>[number];

/**
 * Writes what this replica knows into TrustBundle.status: its own acknowledgements under a field owner of its own; the sequence and the condition, which every
 * replica works out alike, under one that they share. Entries of replicas that are gone are taken out.
 */
export class TrustBundleStatus {
  readonly #deps: TrustBundleStatusDeps;
  readonly #controller: Controller;

  constructor(deps: TrustBundleStatusDeps) {
    this.#deps = deps;
    this.#controller = new Controller({
      name: 'trust-bundle-status',
      reconcile: async () => {
        await this.#reconcile();
        return { kind: 'done' };
      },
      logger: deps.log,
      ...(deps.clock === undefined ? {} : { clock: deps.clock }),
      maxDelayMs: 30_000,
    });
    const again = (): void => this.changed();
    deps.bundles.subscribe({ add: again, update: again });
    deps.meshedPods.subscribe({ add: again, delete: again });
    deps.replicaPods.subscribe({ add: again, delete: again });
  }

  start(): void {
    this.#controller.start();
  }

  stop(): Promise<void> {
    return this.#controller.stop();
  }

  /** Something that the status shows may have changed. */
  changed(): void {
    this.#controller.enqueueAfter(object.trustBundle, this.#deps.reportPeriodMs ?? REPORT_PERIOD_MS);
  }

  async #reconcile(): Promise<void> {
    const bundle = this.#deps.bundles.get(object.trustBundle);
    if (bundle === undefined || this.#deps.watch.current === undefined) return;
    const own = this.#ownEntry();
    await this.#writeOwn(bundle, own);
    const live = this.#liveEntries(bundle, own);
    await this.#removeGone(bundle);
    await this.#writeShared(bundle, live);
  }

  #ownEntry(): Entry {
    const { sequence, acknowledged, pending } = this.#deps.count();
    return { replica: this.#deps.replica, sequence: Number(sequence), acknowledged, pending };
  }

  async #writeOwn(bundle: TrustBundle, own: Entry): Promise<void> {
    const written = bundle.status?.acknowledgements?.find((entry) => entry.replica === own.replica);
    if (written !== undefined && sameEntry(written, own)) return;
    await this.#apply({ acknowledgements: [own] }, ownerOf(own.replica));
  }

  /** What the other replicas last wrote, and what this one knows now. */
  #liveEntries(bundle: TrustBundle, own: Entry): Entry[] {
    const others = bundle.status?.acknowledgements ?? [];
    return [...others.filter((entry) => entry.replica !== own.replica && this.#isLive(entry.replica)), own];
  }

  #isLive(replica: string): boolean {
    const { replicaPods, meshNamespace } = this.#deps;
    return !replicaPods.hasSynced || replicaPods.get(`${meshNamespace}/${replica}`) !== undefined;
  }

  async #removeGone(bundle: TrustBundle): Promise<void> {
    for (const { replica } of bundle.status?.acknowledgements ?? []) {
      if (replica !== this.#deps.replica && !this.#isLive(replica)) await this.#apply({}, ownerOf(replica));
    }
  }

  async #writeShared(bundle: TrustBundle, live: Entry[]): Promise<void> {
    const sequence = Number(this.#deps.watch.current?.sequence ?? 0n);
    const before = bundle.status?.conditions ?? [];
    const conditions = setCondition(before, this.#condition(live, sequence), this.#deps.wallNow());
    if (conditions === before && bundle.status?.sequence === sequence) return;
    const acknowledged = findCondition(conditions, 'Acknowledged');
    await this.#apply(
      { sequence, ...(acknowledged === undefined ? {} : { conditions: [acknowledged] }) },
      SHARED_OWNER,
    );
  }

  #condition(live: Entry[], sequence: number): NewCondition {
    const { watch } = this.#deps;
    const acknowledged = live
      .filter((entry) => entry.sequence === sequence)
      .reduce((sum, entry) => sum + entry.acknowledged, 0);
    const expected = this.#expected();
    const pending = live.some((entry) => entry.sequence !== sequence || entry.pending > 0);
    const observedGeneration = watch.current?.generation ?? 0;
    if (watch.rejected !== undefined) {
      return {
        type: 'Acknowledged',
        status: 'False',
        reason: 'Invalid',
        message: watch.rejected,
        observedGeneration,
      };
    }
    const done = !pending && acknowledged >= expected;
    return {
      type: 'Acknowledged',
      status: done ? 'True' : 'False',
      reason: done ? 'AllAcknowledged' : 'Waiting',
      message: `${Math.min(acknowledged, expected)} of ${expected} meshed pods have put bundle ${sequence} into use`,
      observedGeneration,
    };
  }

  /** Pods that must acknowledge, whether they are connected or not: those with a sidecar, and our own that hold an identity by the stream. */
  #expected(): number {
    const { meshedPods, replicaPods, meshNamespace } = this.#deps;
    const streaming = replicaPods.list().filter((pod) => STREAMING.has(pod.spec?.serviceAccountName ?? ''));
    // The components are labelled like meshed pods; the control plane has the bundle at hand and acknowledges nothing.
    const meshed = meshedPods.list().filter(({ metadata }) => metadata?.namespace !== meshNamespace);
    return new Set([...meshed, ...streaming].filter(isRunning).map(objectKey)).size;
  }

  async #apply(status: Status, fieldManager: string): Promise<void> {
    await this.#deps.client.apply(
      resources.trustBundles,
      {
        apiVersion: GROUP_VERSION,
        kind: 'TrustBundle',
        metadata: { name: object.trustBundle },
        status,
        // The API asks for no spec here: a status that is applied leaves it alone.
      } as TrustBundle,
      { fieldManager, subresource: 'status', force: true },
    );
  }
}

export interface TrustBundleStatusDeps {
  client: KubernetesClient;
  bundles: Reflector<TrustBundle>;
  watch: BundleWatch;
  /** Pods with a sidecar of this mesh. */
  meshedPods: Reflector<Pod>;
  /** Pods of the mesh namespace: the other replicas are among them. */
  replicaPods: Reflector<Pod>;
  count: () => AcknowledgementCount;
  meshNamespace: string;
  /** Name of the own pod. */
  replica: string;
  log: Log;
  wallNow: () => number;
  clock?: KubernetesClock | undefined;
  /** ms between two writes; undefined: a second. */
  reportPeriodMs?: number | undefined;
}

function ownerOf(replica: string): string {
  return `isthmus-control-plane-${replica}`;
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.sequence === b.sequence && a.acknowledged === b.acknowledged && a.pending === b.pending;
}

/** A pod that will take part: neither finished nor on its way out. */
function isRunning(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return pod.metadata?.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed';
}
