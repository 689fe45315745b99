import type { Container, Pod } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import { age, humanDuration } from './age.ts';

type PodObject = StoredObject & Pod;

/** NAME READY STATUS RESTARTS AGE, and wide: IP NODE NOMINATED-NODE READINESS-GATES (the real server's printPod). */
export function podCells(object: StoredObject, now: number): unknown[] {
  const pod: PodObject = object;
  const containers = pod.spec?.containers ?? [];
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar);
  const tally = tallyOf(pod, sidecars);
  return [
    pod.metadata.name ?? '',
    `${tally.ready}/${containers.length + sidecars.length}`,
    statusOf(pod, tally),
    restartsText(tally, now),
    age(pod.metadata.creationTimestamp, now),
    pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? '<none>',
    pod.spec?.nodeName || '<none>',
    nominatedNode(pod),
    readinessGates(pod),
  ];
}

interface Tally {
  ready: number;
  restarts: number;
  /** When the last one ended, ms since the epoch. */
  lastRestart: number | undefined;
  /** Text of an init container that the pod waits for. */
  initializing: string | undefined;
}

function tallyOf(pod: PodObject, sidecars: readonly Container[]): Tally {
  const sidecarNames = new Set(sidecars.map(({ name }) => name));
  const initStatuses = pod.status?.initContainerStatuses ?? [];
  const statuses = pod.status?.containerStatuses ?? [];
  const initializing = initText(pod, sidecarNames);
  // While the pod initialises, only init containers have restarted; afterwards only the ones that still run count.
  const counted =
    initializing === undefined
      ? [...initStatuses.filter(({ name }) => sidecarNames.has(name)), ...statuses]
      : initStatuses;
  const running = [...initStatuses.filter(({ name }) => sidecarNames.has(name)), ...statuses];
  return {
    ready: running.filter((status) => status.ready && status.state?.running !== undefined).length,
    restarts: counted.reduce((sum, { restartCount }) => sum + restartCount, 0),
    lastRestart: latest(counted.map(({ lastState }) => lastState?.terminated?.finishedAt)),
    initializing,
  };
}

function initText(pod: PodObject, sidecars: ReadonlySet<string>): string | undefined {
  const total = pod.spec?.initContainers?.length ?? 0;
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(status.name) && status.started === true) continue;
    if (terminated !== undefined) return `Init:${terminationText(terminated)}`;
    if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

function statusOf(pod: PodObject, tally: Tally): string {
  const text = tally.initializing ?? runningText(pod);
  if (pod.metadata.deletionTimestamp === undefined) return text;
  if (pod.status?.reason === 'NodeLost') return 'Unknown';
  const phase = pod.status?.phase;
  // A pod that has ended stays what it was: there is nothing left to terminate.
  return phase === 'Succeeded' || phase === 'Failed' ? text : 'Terminating';
}

function runningText(pod: PodObject): string {
  const { status } = pod;
  let text: string = status?.reason || status?.phase || '';
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.reason === 'SchedulingGated') text = 'SchedulingGated';
  let running = false;
  for (const container of (status?.containerStatuses ?? []).toReversed()) {
    const { waiting, terminated } = container.state ?? {};
    if (waiting?.reason) text = waiting.reason;
    else if (terminated !== undefined) text = terminationText(terminated);
    else if (container.ready && container.state?.running !== undefined) running = true;
  }
  if (text !== 'Completed' || !running) return text;
  const ready = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
  return ready === true ? 'Running' : 'NotReady';
}

function terminationText(terminated: { reason?: string; signal?: number; exitCode: number }): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function restartsText({ restarts, lastRestart }: Tally, now: number): string {
  if (restarts === 0 || lastRestart === undefined) return String(restarts);
  return `${restarts} (${humanDuration(now - lastRestart)} ago)`;
}

function latest(times: readonly (string | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined).map((time) => Date.parse(time));
  return known.length === 0 ? undefined : Math.max(...known);
}

function nominatedNode(pod: PodObject): string {
  const name = (pod.status as { nominatedNodeName?: string } | undefined)?.nominatedNodeName;
  return name === undefined || name === '' ? '<none>' : name;
}

function readinessGates(pod: PodObject): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  const met = gates.filter((gate) =>
    pod.status?.conditions?.some(
      (condition) => condition.type === gate.conditionType && condition.status === 'True',
    ),
  );
  return `${met.length}/${gates.length}`;
}

function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}
