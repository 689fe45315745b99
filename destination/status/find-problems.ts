import type { KubernetesObject, Service } from '../../api/kubernetes-types.ts';
import { objectKey } from '../../kubernetes/object-key.ts';
import { ClusterState } from '../cluster-state.ts';
import { type PolicyKind, policyKinds } from '../policy/kinds.ts';
import type { DestinationSettings } from '../settings.ts';
import { policyProblems } from './policy-problems.ts';
import { type RouteKind, routeStatus } from './route-status.ts';

const ROUTE_KINDS: readonly RouteKind[] = ['policyHttpRoutes', 'httpRoutes', 'grpcRoutes'];

/** What of a cluster's policies and routes does not do what it seems to say: a line for each, which names the object. */
export function findPolicyProblems(
  written: Partial<Record<PolicyKind, readonly KubernetesObject[]>>,
  services: readonly Service[],
  settings: DestinationSettings,
): string[] {
  const state = new ClusterState(() => {});
  for (const service of services) state.setService(objectKey(service), service);
  for (const [kind, objects] of Object.entries(written))
    for (const object of objects) state.setPolicy(kind as PolicyKind, objectKey(object), object);
  const cluster = state.reader(() => {});
  const others = policyProblems(cluster, settings).map(
    ({ resource, object, problem }) => `${resource.kind} ${objectKey(object)}: ${problem}`,
  );
  const routes = ROUTE_KINDS.flatMap((kind) =>
    cluster.allPolicies(kind).flatMap((written) => {
      const route = { ...written, status: {} };
      const conditions = (routeStatus(kind, route, cluster, 0) ?? []).flatMap(
        (parent) => parent.conditions ?? [],
      );
      const wrong = conditions.filter(({ status }) => status !== 'True');
      return wrong.map(
        ({ message = '' }) => `${policyKinds[kind].resource.kind} ${objectKey(route)}: ${message}`,
      );
    }),
  );
  return [...new Set([...routes, ...others])];
}
