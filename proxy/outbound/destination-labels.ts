import type { Endpoint } from '../balance/endpoint.ts';
import type { Labels } from '../telemetry/registry.ts';

/** What the control plane says of a Service, not of the pod behind it. */
const OF_SERVICE: ReadonlySet<string> = new Set(['service', 'target_service', 'target_service_namespace']);

/** Linkerd's `dst_…` labels of a request to an endpoint. */
export function destinationLabels(one: Endpoint): Labels {
  return prefixed(Object.entries(one.labels));
}

/**
 * Labels of a connection, which requests to several Services share: those of its pod, or of the cluster behind a
 * gateway. `linkerd viz edges` finds its edges by them.
 */
export function connectionLabels(one: Endpoint): Labels {
  const isGateway = one.authorityOverride !== undefined;
  // The namespace of what a gateway leads to is its Service's.
  const shared = ([name]: readonly [string, string]): boolean =>
    !OF_SERVICE.has(name) && !(isGateway && name === 'namespace');
  return prefixed(Object.entries(one.labels).filter(shared));
}

function prefixed(labels: readonly (readonly [string, string])[]): Labels {
  return Object.fromEntries(labels.map(([name, value]) => [`dst_${name}`, value]));
}
