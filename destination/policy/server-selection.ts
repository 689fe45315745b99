import type { PolicyServer } from '../../api/policy-types.ts';
import { isEmptySelector, matchesSelector } from '../../kubernetes/labels.ts';
import type { ClusterReader } from '../cluster-state.ts';
import type { WorkloadPod } from '../workload-pod.ts';

/** The Server that is for a pod's port. Of several the oldest counts, for as long as it is there (then the first by name). */
export function serverOf(pod: WorkloadPod, port: number, cluster: ClusterReader): PolicyServer | undefined {
  return serversOf(pod, port, cluster)[0];
}

/** All Servers that select a pod's port, the one that counts first. */
export function serversOf(pod: WorkloadPod, port: number, cluster: ClusterReader): PolicyServer[] {
  return cluster
    .policies('servers', pod.namespace)
    .filter((server) => selectsPod(server, pod) && selectsPort(server, port, pod))
    .sort((a, b) => (createdAt(a) < createdAt(b) ? -1 : createdAt(a) > createdAt(b) ? 1 : 0));
}

function createdAt({ metadata }: PolicyServer): string {
  return metadata?.creationTimestamp ?? '';
}

/** A selector that can't be read selects every pod: whoever wrote it wanted something closed. */
function selectsPod({ spec }: PolicyServer, pod: WorkloadPod): boolean {
  const selector = spec?.podSelector;
  if (selector === undefined) return false;
  try {
    return isEmptySelector(selector) || matchesSelector(selector, pod.labels);
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
}

function selectsPort({ spec }: PolicyServer, port: number, pod: WorkloadPod): boolean {
  const wanted = spec?.port;
  if (typeof wanted === 'number') return wanted === port;
  // A port's name has a letter: digits alone are a number in quotes.
  if (wanted !== undefined && /^\d+$/.test(wanted)) return Number(wanted) === port;
  return wanted !== undefined && pod.portNames.get(port) === wanted;
}
