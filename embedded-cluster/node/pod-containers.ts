import type { Container, Pod } from '../../api/kubernetes-types.ts';
import type { ContainerRunner } from './container-runner.ts';
import type { GracePeriod } from './grace-period.ts';

/** The containers of one pod, in the order of its specification. */
export class PodContainers {
  readonly #init: readonly ContainerRunner[];
  readonly #main: readonly ContainerRunner[];

  constructor(pod: Pod, runner: (container: Container, kind: ContainerRunner['kind']) => ContainerRunner) {
    this.#init = (pod.spec?.initContainers ?? []).map((c) =>
      runner(c, c.restartPolicy === 'Always' ? 'sidecar' : 'init'),
    );
    this.#main = (pod.spec?.containers ?? []).map((c) => runner(c, 'main'));
  }

  named(name: string): ContainerRunner | undefined {
    return this.#all.find((c) => c.name === name);
  }

  /** Some process of the pod's runs. */
  get running(): boolean {
    return this.#all.some((c) => c.running);
  }

  /** All main containers have ended, and none of them with an error. */
  get endedWell(): boolean {
    return this.#main.every(({ state }) => state.kind === 'terminated' && state.exitCode === 0);
  }

  /** What `planPod` goes by. @param now ms */
  views(now: number) {
    return { init: this.#init.map((c) => c.view(now)), main: this.#main.map((c) => c.view(now)) };
  }

  /** What the pod's status shows of them. */
  statuses() {
    return { init: this.#init.map((c) => c.status()), main: this.#main.map((c) => c.status()) };
  }

  /** Main containers that have not started show why. */
  showWaiting(reason: Parameters<ContainerRunner['showWaiting']>[0]): void {
    for (const c of this.#main) c.showWaiting(reason);
  }

  /** What they wait for may be there now: back-offs end. */
  retryNow(): void {
    for (const c of this.#all) c.retryNow();
  }

  /** Main containers and running init containers at once; a sidecar when all that came after it have ended. preStop hooks of all run from the beginning. */
  async stop(grace: GracePeriod): Promise<void> {
    const first = [...this.#main, ...this.#init.filter((c) => c.kind === 'init')];
    const ended = first.map((c) => c.stop(grace, `Stopping container ${c.name}`));
    for (const sidecar of this.#init.filter((c) => c.kind === 'sidecar').reverse())
      ended.push(sidecar.stop(grace, `Stopping container ${sidecar.name}`, Promise.all(ended.slice())));
    await Promise.all(ended);
  }

  get #all(): ContainerRunner[] {
    return [...this.#init, ...this.#main];
  }
}
