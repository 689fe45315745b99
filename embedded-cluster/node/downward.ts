import type { Container, Pod } from '../../api/kubernetes-types.ts';
import { quantityValue } from '../../api/quantity.ts';

/** Where a pod runs: what its fields say only once the node has set them. */
export interface PodPlace {
  podIp: string;
  hostIp: string;
  nodeCpu: number;
  nodeMemoryBytes: number;
}

/** The value of a downward API field, empty when the pod has none; undefined when there is no such field. */
export function podField(pod: Pod, place: PodPlace, fieldPath: string): string | undefined {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (subscript !== null) {
    const map = subscript[1] === 'labels' ? pod.metadata?.labels : pod.metadata?.annotations;
    return map?.[subscript[2] ?? ''] ?? '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata?.name ?? '';
    case 'metadata.namespace':
      return pod.metadata?.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata?.uid ?? '';
    case 'metadata.labels':
      return formatMap(pod.metadata?.labels);
    case 'metadata.annotations':
      return formatMap(pod.metadata?.annotations);
    case 'spec.nodeName':
      return pod.spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec?.serviceAccountName ?? '';
    case 'status.podIP':
    case 'status.podIPs':
      return place.podIp;
    case 'status.hostIP':
    case 'status.hostIPs':
      return place.hostIp;
    default:
      return undefined;
  }
}

/** The value of a container's resource (`limits.memory`, …) in units of `divisor`, rounded up; undefined when there is no such resource. */
export function resourceField(
  container: Container,
  place: PodPlace,
  resource: string,
  divisor = '1',
): string | undefined {
  const [kind, name = ''] = resource.split('.');
  if (kind !== 'limits' && kind !== 'requests') return undefined;
  const { limits, requests } = container.resources ?? {};
  const given = kind === 'limits' ? limits?.[name] : (requests?.[name] ?? limits?.[name]);
  const value = (given === undefined ? undefined : quantityValue(given)) ?? allocatable(kind, name, place);
  const unit = quantityValue(divisor === '0' ? '1' : divisor);
  if (value === undefined || unit === undefined) return undefined;
  return String(Math.ceil(value / unit));
}

/** A container without a limit is told what the node has; without a request, nothing. */
function allocatable(kind: 'limits' | 'requests', name: string, place: PodPlace): number | undefined {
  if (kind === 'requests') return 0;
  if (name === 'cpu') return place.nodeCpu;
  if (name === 'memory') return place.nodeMemoryBytes;
  return name === 'ephemeral-storage' ? 0 : undefined;
}

/** `key="value"` lines in the order of the keys, as a kubelet writes labels and annotations into a file. */
function formatMap(map: Record<string, string> = {}): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join('\n');
}
