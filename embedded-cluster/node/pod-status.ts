import type { ContainerStatus, Pod } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';

type PodStatus = NonNullable<Pod['status']>;
type PodCondition = NonNullable<PodStatus['conditions']>[number];

/** How a pod ended, for good. */
export interface PodOutcome {
  phase: 'Succeeded' | 'Failed';
  reason?: string;
  message?: string;
}

/** What a pod's status is made from. */
export interface PodStatusInput {
  pod: Pod;
  init: readonly ContainerStatus[];
  main: readonly ContainerStatus[];
  initialized: boolean;
  /** Address and volumes are there. */
  sandboxReady: boolean;
  podIp: string | undefined;
  hostIp: string;
  /** Set when the pod will not run again. */
  outcome: PodOutcome | undefined;
  /** ms since the epoch at which the node first saw it. */
  startTime: number;
  now: number;
}

/** The status that a kubelet would report. Conditions of others (readiness gates) stay; a transition time moves only when a condition changes. */
export function podStatus(input: PodStatusInput): PodStatus {
  const { pod, outcome, podIp, hostIp } = input;
  const status: PodStatus = {
    ...pod.status,
    phase: outcome?.phase ?? phase(input),
    conditions: conditions(input),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    startTime: pod.status?.startTime ?? metaTime(input.startTime),
    qosClass: pod.status?.qosClass ?? qosClass(pod),
    containerStatuses: [...input.main],
  };
  if (input.init.length > 0) status.initContainerStatuses = [...input.init];
  if (podIp !== undefined) {
    status.podIP = podIp;
    status.podIPs = [{ ip: podIp }];
  }
  if (outcome?.reason !== undefined) status.reason = outcome.reason;
  if (outcome?.message !== undefined) status.message = outcome.message;
  return status;
}

/** Kubelet's getPhase for a pod that may still run: a container that has never run keeps it Pending. */
function phase(input: PodStatusInput): 'Pending' | 'Running' {
  const neverRan = input.main.some(
    (c) => c.state?.waiting !== undefined && c.lastState?.terminated === undefined,
  );
  return input.initialized && !neverRan ? 'Running' : 'Pending';
}

function conditions(input: PodStatusInput): PodCondition[] {
  const known = input.pod.status?.conditions ?? [];
  const gates = readiness(input, known);
  const ours: PodCondition[] = [
    { type: 'PodReadyToStartContainers', status: input.sandboxReady ? 'True' : 'False' },
    initialized(input),
    gates,
    containersReady(input),
    { type: 'PodScheduled', status: 'True' },
  ];
  const result = ours.map((condition) => keepTime(condition, known, input.now));
  const types = new Set(ours.map((condition) => condition.type));
  return [...result, ...known.filter((condition) => !types.has(condition.type))];
}

function initialized(input: PodStatusInput): PodCondition {
  if (input.outcome?.phase === 'Succeeded')
    return { type: 'Initialized', status: 'True', reason: 'PodCompleted' };
  if (input.initialized) return { type: 'Initialized', status: 'True' };
  const names = input.init.filter((c) => !(c.ready || c.started === true)).map((c) => c.name);
  if (names.length === 0 && input.init.length === 0) return { type: 'Initialized', status: 'True' };
  return {
    type: 'Initialized',
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${names.join(' ')}]`,
  };
}

function containersReady(input: PodStatusInput): PodCondition {
  const type = 'ContainersReady';
  if (input.outcome !== undefined) return { type, status: 'False', reason: endReason(input) };
  const unready = unreadyNames(input);
  if (unready.length === 0) return { type, status: 'True' };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, status: 'False', reason: 'ContainersNotReady', message };
}

function readiness(input: PodStatusInput, known: readonly PodCondition[]): PodCondition {
  const containers = containersReady(input);
  if (containers.status !== 'True') return { ...containers, type: 'Ready' };
  const complaints = (input.pod.spec?.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = known.find((condition) => condition.type === conditionType);
    if (found === undefined)
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (found.status === 'True') return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`];
  });
  if (complaints.length === 0) return { type: 'Ready', status: 'True' };
  return {
    type: 'Ready',
    status: 'False',
    reason: 'ReadinessGatesNotReady',
    message: complaints.join(', '),
  };
}

/** Sidecars count for readiness, init containers that are to end don't. */
function unreadyNames(input: PodStatusInput): string[] {
  const sidecars = new Set(
    (input.pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name),
  );
  return [...input.init.filter((c) => sidecars.has(c.name)), ...input.main]
    .filter((c) => !c.ready)
    .map((c) => c.name);
}

function endReason(input: PodStatusInput): string {
  return input.outcome?.phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed';
}

function keepTime(condition: PodCondition, known: readonly PodCondition[], now: number): PodCondition {
  const before = known.find((c) => c.type === condition.type);
  const kept = before !== undefined && before.status === condition.status;
  return {
    ...condition,
    lastTransitionTime: (kept ? before.lastTransitionTime : undefined) ?? metaTime(now),
  };
}

/** Guaranteed: every container limits cpu and memory and requests the same; BestEffort: none asks for anything. */
export function qosClass(pod: Pod): string {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const asked = all.some(({ resources }) => {
    const values = { ...resources?.limits, ...resources?.requests };
    return values['cpu'] !== undefined || values['memory'] !== undefined;
  });
  if (!asked) return 'BestEffort';
  const guaranteed = all.every(({ resources }) =>
    ['cpu', 'memory'].every((name) => {
      const limit = resources?.limits?.[name];
      return limit !== undefined && (resources?.requests?.[name] ?? limit) === limit;
    }),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
