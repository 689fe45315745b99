import type { Pod } from '../../api/kubernetes-types.ts';

/** Whether a pod's Ready condition is true. */
export function isReady(pod: Pod): boolean {
  return readySince(pod) !== undefined;
}

/** Ready for at least `minReadySeconds`. */
export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const since = readySince(pod);
  return since !== undefined && since + minReadySeconds * 1000 <= now;
}

/** When it became ready, in ms since the epoch; undefined when it is not. */
export function readySince(pod: Pod): number | undefined {
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready' && c.status === 'True');
  return ready === undefined ? undefined : Date.parse(ready.lastTransitionTime ?? '') || 0;
}

/** Neither ended nor asked to. */
export function isActive(pod: Pod): boolean {
  const { phase } = pod.status ?? {};
  return phase !== 'Succeeded' && phase !== 'Failed' && pod.metadata?.deletionTimestamp === undefined;
}

/**
 * Which pods to lose first when there are too many (client-go's ActivePods order): not bound, then pending, then not ready, then the ones that became ready
 * last, then the youngest.
 */
export function byDeletionOrder(a: Pod, b: Pod): number {
  return (
    rank(a) - rank(b) ||
    (readySince(b) ?? 0) - (readySince(a) ?? 0) ||
    created(b) - created(a) ||
    ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1)
  );
}

function rank(pod: Pod): number {
  if (pod.spec?.nodeName === undefined) return 0;
  if (pod.status?.phase !== 'Running') return 1;
  return isReady(pod) ? 3 : 2;
}

function created(pod: Pod): number {
  return Date.parse(pod.metadata?.creationTimestamp ?? '') || 0;
}
