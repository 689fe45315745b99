/** What the plan needs to know of one container. */
export interface ContainerView {
  name: string;
  /** A native sidecar: an init container with `restartPolicy: Always`. */
  sidecar: boolean;
  state: { kind: 'created' } | { kind: 'running'; started: boolean } | { kind: 'exited'; exitCode: number };
  /** ms until it may be started (again): restart back-off, or wait before an image or its configuration is tried again. */
  waitMs: number;
}

/** A pod, as far as its plan depends on it. */
export interface PodView {
  restartPolicy: 'Always' | 'OnFailure' | 'Never';
  init: readonly ContainerView[];
  main: readonly ContainerView[];
  /** All init containers had ended and all sidecars had started, once. */
  initialized: boolean;
}

/** What is to be done for a pod now. */
export interface PodPlan {
  /** To be started now, in this order. */
  start: string[];
  /** To be started later: they show their back-off. */
  wait: { name: string; waitMs: number }[];
  initialized: boolean;
  /** The work is done or has failed for good: sidecars still running are to be stopped, last first. */
  stopSidecars: boolean;
  /** Set when nothing runs any more and nothing will. */
  outcome?: 'Succeeded' | 'Failed';
}

/**
 * What is to be done next for a pod (kubelet's computePodActions): init containers one after the other; a sidecar holds up those after it until it has
 * started, is restarted whenever it ends, and ends after the main containers; main containers by the pod's restart policy.
 */
export function planPod(view: PodView): PodPlan {
  const plan: PodPlan = { start: [], wait: [], initialized: view.initialized, stopSidecars: false };
  const workDone =
    view.initialized && view.main.every((c) => c.state.kind === 'exited' && !restarts(c, view.restartPolicy));
  if (workDone) return finish(plan, view, view.main.some(failed) ? 'Failed' : 'Succeeded');

  for (const container of view.init) {
    const { state } = container;
    if (container.sidecar) {
      if (state.kind !== 'running') begin(plan, container);
      if (!view.initialized && !(state.kind === 'running' && state.started)) return plan;
      continue;
    }
    if (view.initialized || (state.kind === 'exited' && state.exitCode === 0)) continue;
    if (state.kind === 'exited' && view.restartPolicy === 'Never') return finish(plan, view, 'Failed');
    if (state.kind !== 'running') begin(plan, container);
    return plan;
  }
  plan.initialized = true;
  for (const container of view.main) {
    const { state } = container;
    if (state.kind === 'created' || (state.kind === 'exited' && restarts(container, view.restartPolicy)))
      begin(plan, container);
  }
  return plan;
}

function begin(plan: PodPlan, container: ContainerView): void {
  if (container.waitMs <= 0) plan.start.push(container.name);
  else plan.wait.push({ name: container.name, waitMs: container.waitMs });
}

function finish(plan: PodPlan, view: PodView, outcome: 'Succeeded' | 'Failed'): PodPlan {
  const sidecarRuns = view.init.some((c) => c.state.kind === 'running');
  return sidecarRuns ? { ...plan, stopSidecars: true } : { ...plan, outcome };
}

function failed(container: ContainerView): boolean {
  return container.state.kind === 'exited' && container.state.exitCode !== 0;
}

function restarts(container: ContainerView, policy: PodView['restartPolicy']): boolean {
  if (policy === 'OnFailure') return failed(container);
  return policy === 'Always';
}
