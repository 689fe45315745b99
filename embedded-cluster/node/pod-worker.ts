import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Container, Pod } from '../../api/kubernetes-types.ts';
import { referenceTo } from '../events.ts';
import { ContainerRunner } from './container-runner.ts';
import type { PodPlace } from './downward.ts';
import type { GracePeriod } from './grace-period.ts';
import type { NodeContext } from './node-context.ts';
import { PodContainers } from './pod-containers.ts';
import { PodObject } from './pod-object.ts';
import { planPod } from './pod-plan.ts';
import { endBeforeStart, hasSucceeded } from './pod-recovery.ts';
import { podStatus } from './pod-status.ts';
import type { PodOutcome } from './pod-status.ts';
import { volumeReferences } from './volume-payload.ts';
import { MountError, PodVolumes } from './volumes.ts';

/** Kubernetes' default terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;
/** A pod whose object is gone already (deleted by force) is ended within this. */
const ORPHAN_GRACE_MS = 1000;
/** A pod waits for one that gives its address back; addresses that a stranger holds are tried again after this. */
const ADDRESS_RETRY_MS = 30_000;
/** A status that can't be written is written again after this. */
const STATUS_RETRY_MS = 1000;

/** Why a pod ends: asked by the API, by its disappearance from there, or since the node itself stops. */
type Ending = { why: 'deleted' | 'gone' | 'shutdown'; grace: GracePeriod };

/**
 * One pod on the node. A single loop looks at the pod's object, its containers and the time, does the next thing and reports; everything else only
 * wakes it.
 */
export class PodWorker {
  readonly uid: string;
  readonly #node: NodeContext;
  readonly #dir: string;
  readonly #volumes: PodVolumes;
  readonly #containers: PodContainers;
  readonly #object: PodObject;
  readonly #startTime: number;
  #pod: Pod;
  #podIp: string | undefined;
  #initialized = false;
  #sandboxReady = false;
  #volumesDue = true;
  #outcome: PodOutcome | undefined;
  #ending: Ending | undefined;
  #stoppingSidecars = false;
  #looping = false;
  #again = false;
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;
  readonly #timers = new Map<'plan' | 'volumes', () => void>();
  readonly #onClosed: () => void;

  constructor(node: NodeContext, pod: Pod, onClosed: () => void) {
    this.#node = node;
    this.#pod = pod;
    this.#onClosed = onClosed;
    this.uid = pod.metadata?.uid ?? '';
    this.#dir = join(node.dataDir, 'pods', this.uid);
    this.#volumes = new PodVolumes(join(this.#dir, 'volumes'), node.client, node.clock);
    this.#startTime = node.clock.now();
    this.#outcome = endBeforeStart(pod);
    this.#initialized = this.#outcome !== undefined;
    const shown = pod.status?.podIP;
    if (this.#outcome === undefined && shown !== undefined && node.addresses.adopt(shown, this.uid))
      this.#podIp = shown;
    this.#object = new PodObject(node.client, this.uid);
    this.#containers = new PodContainers(pod, (container, kind) => this.#runner(container, kind));
    this.wake();
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The object has changed. */
  update(pod: Pod): void {
    const downward = !isDeepStrictEqual(
      [pod.metadata?.labels, pod.metadata?.annotations],
      [this.#pod.metadata?.labels, this.#pod.metadata?.annotations],
    );
    this.#pod = pod;
    if (downward) this.#volumesDue = true;
    const grace = pod.metadata?.deletionGracePeriodSeconds;
    if (pod.metadata?.deletionTimestamp !== undefined)
      this.#end('deleted', (grace ?? DEFAULT_GRACE_SECONDS) * 1000);
    this.wake();
  }

  /** The object is gone: nobody waits any more. */
  removed(): void {
    this.#end('gone', ORPHAN_GRACE_MS);
    this.wake();
  }

  /** Ends the pod's processes within their grace, at most `limitMs`, since the node stops; the object stays. */
  shutdown(limitMs: number): void {
    const seconds = this.#pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
    this.#end('shutdown', Math.min(limitMs, seconds * 1000));
    this.wake();
  }

  /** Resolves when its processes have ended after `shutdown`, and when it was deleted. */
  get ended(): Promise<void> {
    return this.#closed.promise;
  }

  /** A ConfigMap or Secret (`configmaps/name`) of its namespace has changed. */
  sourceChanged(reference: string): void {
    this.#containers.retryNow();
    if (volumeReferences(this.#pod).has(reference)) this.#volumesDue = true;
    this.wake();
  }

  container(name: string): ContainerRunner | undefined {
    return this.#containers.named(name);
  }

  /** Looks at the pod again, once more behind a look that is under way. */
  wake(): void {
    if (this.#isClosed) return;
    this.#again = true;
    if (this.#looping) return;
    this.#looping = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    // Watch handlers run inside somebody's write: never act in there.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    while (this.#again && !this.#isClosed) {
      this.#again = false;
      try {
        await this.#step();
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        this.#node.logger.warn({ pod: this.#name, error: text }, 'pod step failed, trying again');
        this.#wakeAfter('plan', STATUS_RETRY_MS);
      }
    }
    this.#looping = false;
  }

  async #step(): Promise<void> {
    if (this.#ending !== undefined) {
      await this.#finish(this.#ending);
      return;
    }
    if (this.#outcome === undefined && (await this.#prepare())) await this.#advance();
    await this.#report();
  }

  /** Address and volumes. Returns whether containers may run. */
  async #prepare(): Promise<boolean> {
    this.#podIp ??= await this.#node.addresses.take(this.uid);
    if (this.#podIp === undefined) {
      this.#event('Warning', 'FailedCreatePodSandBox', this.#node.addresses.exhausted);
      this.#node.addresses.onRelease(this.uid, () => {
        this.wake();
      });
      this.#wakeAfter('plan', ADDRESS_RETRY_MS);
      return false;
    }
    if (this.#volumesDue) {
      this.#volumesDue = false;
      try {
        const againMs = await this.#volumes.refresh(this.#pod, this.#place(this.#podIp));
        if (againMs !== undefined) this.#refreshVolumesAfter(againMs);
        this.#sandboxReady = true;
      } catch (error) {
        if (!(error instanceof MountError)) throw error;
        this.#event('Warning', 'FailedMount', error.message);
        this.#refreshVolumesAfter(this.#volumes.retryMs);
      }
    }
    // What was mounted once stays usable when a refresh fails.
    return this.#sandboxReady;
  }

  async #advance(): Promise<void> {
    if (this.#pastDeadline()) return;
    const now = this.#node.clock.now();
    const plan = planPod({
      restartPolicy: this.#pod.spec?.restartPolicy ?? 'Always',
      ...this.#containers.views(now),
      initialized: this.#initialized,
    });
    this.#initialized = plan.initialized;
    if (plan.outcome !== undefined) this.#outcome = { phase: plan.outcome };
    if (plan.stopSidecars) this.#stopSidecars();
    for (const name of plan.start) await this.container(name)?.start();
    for (const wait of plan.wait) this.container(wait.name)?.showBackoff();
    this.#containers.showWaiting(this.#initialized ? 'ContainerCreating' : 'PodInitializing');
    const waits = plan.wait.map((wait) => wait.waitMs);
    if (plan.start.length > 0) this.#again = true;
    if (waits.length > 0) this.#wakeAfter('plan', Math.min(...waits));
  }

  /** activeDeadlineSeconds: a pod that is past it fails for good. */
  #pastDeadline(): boolean {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    if (seconds === undefined) return false;
    const since = Date.parse(this.#pod.status?.startTime ?? '') || this.#startTime;
    const left = since + seconds * 1000 - this.#node.clock.now();
    if (left > 0) {
      this.#wakeAfter('plan', left);
      return false;
    }
    this.#outcome = {
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    const ms = (this.#pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
    const grace = this.#node.gracePeriod(ms);
    void this.#containers.stop(grace).finally(() => {
      grace.dispose();
      this.wake();
    });
    return true;
  }

  /** The work is done: sidecars end, last first, within the pod's grace. */
  #stopSidecars(): void {
    if (this.#stoppingSidecars) return;
    this.#stoppingSidecars = true;
    const ms = (this.#pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
    const grace = this.#node.gracePeriod(ms);
    void this.#containers.stop(grace).finally(() => {
      grace.dispose();
      this.#stoppingSidecars = false;
      this.wake();
    });
  }

  #end(why: Ending['why'], graceMs: number): void {
    if (this.#ending === undefined) {
      this.#ending = { why, grace: this.#node.gracePeriod(graceMs) };
      return;
    }
    this.#ending.grace.shorten(graceMs);
    // What ends for the node's sake may be deleted meanwhile, not the other way round.
    if (why !== 'shutdown' && this.#ending.why !== 'gone') this.#ending.why = why;
  }

  async #finish(ending: Ending): Promise<void> {
    for (const cancel of this.#timers.values()) cancel();
    await this.#tryReport(ending);
    await this.#containers.stop(ending.grace);
    ending.grace.dispose();
    if (ending.why === 'shutdown') {
      this.#isClosed = true;
      this.#closed.resolve();
      return;
    }
    this.#outcome ??= { phase: this.#containers.endedWell ? 'Succeeded' : 'Failed' };
    if (ending.why === 'deleted') await this.#tryReport(ending);
    // As a kubelet: who sees that the pod is gone may rely on there being nothing left of it.
    rmSync(this.#dir, { recursive: true, force: true });
    if (ending.why === 'deleted') await this.#object.delete(this.#pod);
    this.#isClosed = true;
    this.#closed.resolve();
    this.#onClosed();
  }

  /**
   * A status that can't be written (a full disk) keeps no pod from being ended. One that ends only since the node stops is not told: it will be started
   * again, and how it took its SIGTERM is not how its work ended.
   */
  async #tryReport(ending: Ending): Promise<void> {
    if (ending.why === 'shutdown') return;
    try {
      await this.#report();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#node.logger.warn({ pod: this.#name, error: text }, 'pod status could not be written');
    }
  }

  /** Writes the status, where it differs from what the API shows. */
  async #report(): Promise<void> {
    const written = await this.#object.writeStatus(this.#pod, (live) =>
      podStatus({
        pod: live,
        ...this.#containers.statuses(),
        initialized: this.#initialized,
        sandboxReady: this.#sandboxReady,
        podIp: this.#podIp,
        hostIp: this.#node.hostIp,
        outcome: this.#containers.running ? undefined : this.#outcome,
        startTime: this.#startTime,
        now: this.#node.clock.now(),
      }),
    );
    if (written === 'conflict') this.#again = true;
  }

  #runner(container: Container, kind: ContainerRunner['kind']): ContainerRunner {
    const { containerStatuses = [], initContainerStatuses = [] } = this.#pod.status ?? {};
    const previous = [...initContainerStatuses, ...containerStatuses].find((c) => c.name === container.name);
    return new ContainerRunner({
      node: this.#node,
      container,
      kind,
      podDir: this.#dir,
      pod: () => this.#pod,
      place: () => this.#place(this.#podIp ?? ''),
      volumeDir: (volume) => this.#volumes.path(this.#pod, volume),
      done: this.#outcome !== undefined || (kind === 'main' && hasSucceeded(this.#pod, previous)),
      previous,
      onChange: () => {
        this.wake();
        // While the pod ends the loop is busy ending it; readers of endpoints still want to hear of readiness.
        if (this.#ending !== undefined) void this.#tryReport(this.#ending);
      },
    });
  }

  #place(podIp: string): PodPlace {
    const { hostIp, cpus, memoryBytes } = this.#node;
    return { podIp, hostIp, nodeCpu: cpus, nodeMemoryBytes: memoryBytes };
  }

  #refreshVolumesAfter(ms: number): void {
    this.#timers.get('volumes')?.();
    const cancel = this.#node.clock.after(ms, () => {
      this.#volumesDue = true;
      this.wake();
    });
    this.#timers.set('volumes', cancel);
  }

  #wakeAfter(timer: 'plan', ms: number): void {
    this.#timers.get(timer)?.();
    this.#timers.set(
      timer,
      this.#node.clock.after(ms, () => {
        this.wake();
      }),
    );
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#node.events.record(
      referenceTo(this.#pod, { apiVersion: 'v1', kind: 'Pod' }),
      type,
      reason,
      message,
    );
  }

  get #name(): string {
    return `${this.#pod.metadata?.namespace ?? ''}/${this.#pod.metadata?.name ?? ''}`;
  }
}
