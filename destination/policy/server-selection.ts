import type { PolicyServer } from '../../api/policy-types.ts';
import { isEmptySelector, matchesSelector } from '../../kubernetes/labels.ts';
import type { ClusterReader } from '../cluster-state.ts';
import type { WorkloadPod } from '../workload-pod.ts';

/** The Server that is for a pod's port. Of several the oldest counts, for as long as it is there (then the first by name). */
export function serverOf(pod: WorkloadPod, port: number, cluster: ClusterReader): PolicyServer | undefined {
  return serversOf(pod, port, cluster)[0];
}

/** All Servers that select a pod's port, the one that counts first. */
function serversOf(pod: WorkloadPod, port: number, cluster: ClusterReader): PolicyServer[] {
  return cluster
    .policies('servers', pod.namespace)
    .filter((server) => selectsPod(server, pod) && selectsPort(server, port, pod))
    .sort((a, b) => (createdAt(a) < createdAt(b) ? -1 : createdAt(a) > createdAt(b) ? 1 : 0));
}

/** Whether a Server of the namespace would be for the port of a pod of which only the name is known. A port's name could be any port's. */
export function mayHaveServer(namespace: string, port: number, cluster: ClusterReader): boolean {
  return cluster.policies('servers', namespace).some(({ spec }) => {
    const wanted = numberOf(spec?.port);
    return spec?.podSelector !== undefined && (typeof wanted === 'string' || wanted === port);
  });
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
  const wanted = numberOf(spec?.port);
  if (typeof wanted === 'number') return wanted === port;
  return wanted !== undefined && pod.portNames.get(port) === wanted;
}

/** A port's name has a letter: digits alone are a number in quotes. */
function numberOf(port: number | string | undefined): number | string | undefined {
  return typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port;
}
