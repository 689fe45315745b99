import type { Container, ContainerStatus, Pod } from '../../api/kubernetes-types.ts';
import type { EventSubject } from '../events.ts';
import { goDuration, RestartBackoff } from './backoff.ts';
import { ContainerFiles } from './container-files.ts';
import { launchContainer, unusedContainerId } from './container-launch.ts';
import type { Launched } from './container-launch.ts';
import { ContainerProbes } from './container-probes.ts';
import { containerStatus } from './container-status.ts';
import type { ContainerState, Termination } from './container-status.ts';
import type { PodPlace } from './downward.ts';
import { ContainerConfigError } from './environment.ts';
import type { GracePeriod } from './grace-period.ts';
import { imageId } from './images.ts';
import type { LocalImage } from './images.ts';
import { lifecycleHandler, runLifecycleHandler } from './lifecycle-hook.ts';
import type { LogWriter } from './log-file.ts';
import type { NodeContext } from './node-context.ts';
import type { ContainerView } from './pod-plan.ts';
import { lostRun, terminationMessage } from './termination.ts';

/** Kubelet gives a container this long after SIGTERM even when its preStop hook has used up the grace period. */
const LEAST_TERM_MS = 2000;
/** An image or a configuration that is missing is looked for again after this; a change of what was missing comes by itself. */
const CONFIG_RETRY_MS = 10_000;

export interface ContainerRunnerOptions {
  node: NodeContext;
  container: Container;
  kind: 'init' | 'sidecar' | 'main';
  /** Of the pod: `pods/<uid>`. */
  podDir: string;
  pod: () => Pod;
  place: () => PodPlace;
  volumeDir: (volume: string) => string;
  /** What its status showed before this agent came up. */
  previous: ContainerStatus | undefined;
  /** It will not run again (its pod has ended, or it was done): it shows how it ended. */
  done: boolean;
  /** Something that a plan or a status depends on has changed. */
  onChange: () => void;
}

/** What belongs to one run of the container. */
interface Run extends Launched {
  probes: ContainerProbes;
}

/** One container of a pod: starts it, watches it, ends it. When to do which is the pod worker's business. */
export class ContainerRunner {
  readonly name: string;
  readonly kind: 'init' | 'sidecar' | 'main';
  readonly #o: ContainerRunnerOptions;
  readonly #files: ContainerFiles;
  readonly #backoff = new RestartBackoff();
  readonly #imageBackoff = new RestartBackoff();
  #state: ContainerState;
  #last: Termination | undefined;
  #restartCount: number;
  #retryAt = 0;
  #run: Run | undefined;
  #writer: LogWriter | undefined;

  constructor(options: ContainerRunnerOptions) {
    this.#o = options;
    this.name = options.container.name;
    this.kind = options.kind;
    this.#files = new ContainerFiles(options.podDir, this.name);
    this.#state = {
      kind: 'waiting',
      reason: options.kind === 'main' ? 'ContainerCreating' : 'PodInitializing',
    };
    const before = options.previous;
    const ran = before?.state?.running ?? before?.state?.terminated ?? before?.lastState?.terminated;
    this.#restartCount = before?.restartCount ?? 0;
    if (before === undefined || ran === undefined) return;
    const run = lostRun(before, options.node.clock.now());
    if (options.done) {
      this.#state = run;
    } else {
      this.#last = run;
      this.#restartCount += 1;
    }
  }

  get running(): boolean {
    return this.#state.kind === 'running';
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** The log being written, for followers. */
  get logWriter(): LogWriter | undefined {
    return this.#writer;
  }

  /** The log of this run, or of the one before; undefined: there was none. */
  logPath(previous: boolean): string | undefined {
    const run = this.#restartCount - (previous ? 1 : 0);
    return run < 0 ? undefined : this.#files.log(run);
  }

  /** What the plan of its pod is made from. */
  view(now: number): ContainerView {
    const state = this.#state;
    const base = { name: this.name, sidecar: this.kind === 'sidecar' };
    switch (state.kind) {
      case 'running':
        return { ...base, state: { kind: 'running', started: state.started }, waitMs: 0 };
      case 'terminated': {
        const waitMs = this.#backoff.remaining(state.finishedAt, now);
        return { ...base, state: { kind: 'exited', exitCode: state.exitCode }, waitMs };
      }
      case 'backoff': {
        const waitMs = this.#backoff.remaining(state.last.finishedAt, now);
        return { ...base, state: { kind: 'exited', exitCode: state.last.exitCode }, waitMs };
      }
      case 'waiting':
        return { ...base, state: { kind: 'created' }, waitMs: Math.max(0, this.#retryAt - now) };
      default:
        return state satisfies never;
    }
  }

  /** As it stands in the pod's status. */
  status(): ContainerStatus {
    const { container, node, kind } = this.#o;
    const image = node.images[container.image ?? ''];
    return containerStatus({
      name: this.name,
      regularInit: kind === 'init',
      image: container.image ?? '',
      imageId: image === undefined ? '' : imageId(container.image ?? '', image),
      state: this.#state,
      last: this.#last,
      restartCount: this.#restartCount,
    });
  }

  /** The pod is being set up, and this container's turn has not come. */
  showWaiting(reason: 'PodInitializing' | 'ContainerCreating'): void {
    if (this.#state.kind === 'waiting' && this.#retryAt === 0) this.#state = { kind: 'waiting', reason };
  }

  /** Something that was missing may be there now. */
  retryNow(): void {
    if (this.#state.kind === 'waiting' && this.#state.reason === 'CreateContainerConfigError')
      this.#retryAt = 0;
  }

  /** It has ended and has to wait before it is started again. */
  showBackoff(): void {
    if (this.#state.kind !== 'terminated') return;
    const { name = '', namespace = '', uid = '' } = this.#o.pod().metadata ?? {};
    const pod = `${name}_${namespace}(${uid})`;
    const wait = goDuration(this.#backoff.waitMs);
    const message = `back-off ${wait} restarting failed container=${this.name} pod=${pod}`;
    this.#last = this.#state;
    this.#state = { kind: 'backoff', last: this.#state, message };
    this.#event('Warning', 'BackOff', `Back-off restarting failed container ${this.name} in pod ${pod}`);
  }

  /** Starts it, or shows why it can't be. Never throws. */
  async start(): Promise<void> {
    const { node, container } = this.#o;
    const now = node.clock.now();
    const image = node.images[container.image ?? ''];
    if (image === undefined) {
      this.#showMissingImage(now);
      return;
    }
    this.#event('Normal', 'Pulled', `Container image "${container.image ?? ''}" already present on machine`);
    const finished = this.#finished();
    if (finished !== undefined) {
      this.#last = finished;
      this.#backoff.restarted(finished.finishedAt, now);
      this.#restartCount += 1;
    }
    try {
      await this.#launch(image);
    } catch (error) {
      this.#showStartFailure(error);
    }
  }

  /**
   * Ends it: preStop hook, then (when `turn` has come) SIGTERM, then SIGKILL to the group when the grace period is over. Resolves when it has ended.
   */
  async stop(grace: GracePeriod, reason: string, turn: Promise<unknown> = Promise.resolve()): Promise<void> {
    const run = this.#run;
    if (run === undefined || this.#state.kind !== 'running') return;
    const { node, container } = this.#o;
    const patient = grace.remainingMs > 0;
    this.#event('Normal', 'Killing', reason);
    run.probes.stopForTermination();
    const preStop = lifecycleHandler(container, 'preStop');
    if (preStop !== undefined && patient) {
      const hook = runLifecycleHandler(preStop, run.target, node.clock, grace.remainingMs);
      await grace.unlessOver(
        hook.catch((error: unknown) => {
          const text = error instanceof Error ? error.message : String(error);
          this.#event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${text}`);
        }),
      );
    }
    await grace.unlessOver(turn);
    run.process.signal('SIGTERM');
    const least = patient ? this.#pause(LEAST_TERM_MS) : Promise.resolve();
    if (!(await grace.unlessOver(run.process.exited))) {
      await Promise.race([least, run.process.exited]);
      run.process.signal('SIGKILL');
    }
    await run.process.exited;
  }

  async #launch(image: LocalImage): Promise<void> {
    const { node, container, volumeDir } = this.#o;
    const launched = await launchContainer({
      node,
      container,
      image,
      files: this.#files,
      pod: this.#o.pod(),
      place: this.#o.place(),
      volumeDir,
      restartCount: this.#restartCount,
      onCreated: () => {
        this.#event('Normal', 'Created', `Created container: ${this.name}`);
      },
    });
    this.#event('Normal', 'Started', `Started container ${this.name}`);
    this.#writer = launched.log;
    this.#watch(launched);
  }

  #watch(launched: Launched): void {
    const { node, container } = this.#o;
    const { startedAt, containerId, target } = launched;
    this.#retryAt = 0;
    this.#state = { kind: 'running', startedAt, containerId, started: false, ready: false };
    const probes = new ContainerProbes({
      container,
      target,
      clock: node.clock,
      onChange: (health) => {
        if (this.#state.kind !== 'running') return;
        this.#state = { ...this.#state, ...health };
        this.#o.onChange();
      },
      onUnhealthy: (message) => {
        this.#event('Warning', 'Unhealthy', message);
      },
      onKill: (probe) => void this.#restartUnhealthy(probe),
    });
    const run: Run = { ...launched, probes };
    this.#run = run;
    void this.#awaitExit(run);
    void this.#postStart(run);
  }

  async #awaitExit(run: Run): Promise<void> {
    const exitCode = await run.process.exited;
    run.probes.stop();
    this.#run = undefined;
    const { startedAt, containerId, terminationLog } = run;
    this.#state = {
      kind: 'terminated',
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      message: terminationMessage({
        file: terminationLog,
        logFile: this.#files.log(this.#restartCount),
        fallBackToLog:
          exitCode !== 0 && this.#o.container.terminationMessagePolicy === 'FallbackToLogsOnError',
      }),
      startedAt,
      finishedAt: this.#o.node.clock.now(),
      containerId,
    };
    this.#o.onChange();
  }

  /** The container counts as started only after its postStart hook; one whose hook fails is killed. */
  async #postStart(run: Run): Promise<void> {
    const { node, container } = this.#o;
    const handler = lifecycleHandler(container, 'postStart');
    if (handler !== undefined) {
      const limitMs = 24 * 3600 * 1000;
      try {
        await runLifecycleHandler(handler, run.target, node.clock, limitMs);
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        this.#event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${text}`);
        run.process.signal('SIGKILL');
        return;
      }
    }
    if (this.#run === run) run.probes.begin();
  }

  async #restartUnhealthy(probe: 'liveness' | 'startup'): Promise<void> {
    const { node, container } = this.#o;
    const own = (probe === 'liveness' ? container.livenessProbe : container.startupProbe)
      ?.terminationGracePeriodSeconds;
    const seconds = own ?? this.#o.pod().spec?.terminationGracePeriodSeconds ?? 30;
    const grace = node.gracePeriod(seconds * 1000);
    await this.stop(grace, `Container ${this.name} failed ${probe} probe, will be restarted`);
    grace.dispose();
  }

  /** The run that a start now would follow, when there was one in this agent's time. */
  #finished(): Termination | undefined {
    if (this.#state.kind === 'terminated') return this.#state;
    return this.#state.kind === 'backoff' ? this.#state.last : undefined;
  }

  #showMissingImage(now: number): void {
    const name = this.#o.container.image ?? '';
    const first = this.#state.kind !== 'waiting' || !this.#state.reason.includes('Image');
    const message = `image "${name}" is not known to this cluster: name it, with the local command to run, in the cluster's images`;
    this.#imageBackoff.restarted(now, now);
    this.#retryAt = now + this.#imageBackoff.waitMs;
    if (first) {
      this.#state = { kind: 'waiting', reason: 'ErrImagePull', message };
      this.#event('Warning', 'Failed', `Failed to pull image "${name}": ${message}`);
      this.#event('Warning', 'Failed', 'Error: ErrImagePull');
      return;
    }
    this.#state = {
      kind: 'waiting',
      reason: 'ImagePullBackOff',
      message: `Back-off pulling image "${name}": ErrImagePull: ${message}`,
    };
    this.#event('Normal', 'BackOff', `Back-off pulling image "${name}"`);
  }

  #showStartFailure(error: unknown): void {
    const { node } = this.#o;
    const now = node.clock.now();
    const text = error instanceof Error ? error.message : String(error);
    this.#event('Warning', 'Failed', `Error: ${text}`);
    if (error instanceof ContainerConfigError) {
      this.#retryAt = now + CONFIG_RETRY_MS;
      this.#state = { kind: 'waiting', reason: 'CreateContainerConfigError', message: text };
      return;
    }
    // What a runtime reports of a command that can't be run: 128 and StartError.
    this.#state = {
      kind: 'terminated',
      exitCode: 128,
      reason: 'StartError',
      message: text,
      startedAt: 0,
      finishedAt: now,
      containerId: unusedContainerId(),
    };
    this.#o.onChange();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#o.node.clock.after(ms, resolve);
    });
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#o.node.events.record(this.#subject(), type, reason, message);
  }

  #subject(): EventSubject {
    const field = this.kind === 'main' ? 'containers' : 'initContainers';
    const { name = '', namespace = '', uid = '', resourceVersion = '' } = this.#o.pod().metadata ?? {};
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      name,
      namespace,
      uid,
      resourceVersion,
      fieldPath: `spec.${field}{${this.name}}`,
    };
  }
}
