import type { Service } from '../../api/kubernetes-types.ts';
import type { GrpcRoute, HttpRoute, ParentRef } from '../../api/route-types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { parentOf, parentTerm, type PolicyKinds } from '../policy/kinds.ts';

type RouteKind = 'policyHttpRoutes' | 'httpRoutes' | 'grpcRoutes';

/** A Service's port that clients of a namespace ask for. */
export interface ServiceParent {
  readonly service: Service;
  readonly port: number;
  /** Undefined: it is not known where the client is. */
  readonly clientNamespace: string | undefined;
}

/**
 * The routes that hold for clients of a namespace (GAMMA): those of the client's own namespace if there are any
 * ("consumer routes"), else those of the Service's, which are for everybody. Routes of other namespaces are for
 * neither.
 */
export function routesFor<K extends RouteKind>(
  kinds: readonly K[],
  parent: ServiceParent,
  cluster: ClusterReader,
): { readonly kind: K; readonly route: PolicyKinds[K] }[] {
  const { namespace = '', name = '' } = parent.service.metadata ?? {};
  const attached = kinds.flatMap((kind) =>
    cluster
      .policies(kind, parentTerm('Service', namespace, name))
      .filter((route) => isAttached(route, parent))
      .map((route) => ({ kind, route })),
  );
  const ofNamespace = (wanted: string | undefined) =>
    attached.filter(({ route }) => route.metadata?.namespace === wanted);
  const consumer = parent.clientNamespace === namespace ? [] : ofNamespace(parent.clientNamespace);
  return consumer.length > 0 ? consumer : ofNamespace(namespace);
}

function isAttached(route: HttpRoute | GrpcRoute, { service, port }: ServiceParent): boolean {
  return (route.spec?.parentRefs ?? []).some(
    (ref) => isFor(ref, route.metadata?.namespace ?? '', service) && hasPort(ref, service, port),
  );
}

function isFor(ref: ParentRef, routeNamespace: string, { metadata }: Service): boolean {
  const parent = parentOf(ref, routeNamespace);
  return (
    parent?.kind === 'Service' && parent.namespace === metadata?.namespace && parent.name === metadata?.name
  );
}

/** A reference without port or section is for all ports. */
function hasPort({ port: wanted, sectionName }: ParentRef, { spec }: Service, port: number): boolean {
  if (wanted !== undefined && wanted !== port) return false;
  return sectionName === undefined || spec?.ports?.find((one) => one.port === port)?.name === sectionName;
}
