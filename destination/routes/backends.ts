import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';

import type { BackendSchema } from '../../api/proto/gen/linkerd/outbound_pb.js';
import type { BackendRef } from '../../api/route-types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { defaultMetadata } from '../metadata.ts';
import { isKind, refText } from '../policy/identities.ts';
import type { TellProblem } from '../policy/problems.ts';
import type { OutboundFilterInit, ReadFilters } from './filters.ts';

export type BackendInit = MessageInitShape<typeof BackendSchema>;

/** A Service's port. */
export interface ServicePortRef {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** One backend of a rule. */
export interface WeightedBackend {
  readonly weight: number;
  readonly backend: {
    readonly backend: BackendInit;
    readonly filters: OutboundFilterInit[];
    readonly requestTimeout?: Duration;
  };
}

/** Gateway API: a backend that can't be resolved keeps its share, and its requests get 500. */
const NO_BACKEND = 500;

export interface BackendContext {
  readonly routeNamespace: string;
  readonly cluster: ClusterReader;
  /** How a Service is asked for. */
  readonly balancer: (service: ServicePortRef) => BackendInit;
  /** Time of a try. */
  readonly requestTimeout: Duration | undefined;
  readonly readFilters: ReadFilters;
  readonly tell: TellProblem;
}

/** The backends that a rule names, by their weights. */
export function weightedBackends(refs: readonly BackendRef[], context: BackendContext): WeightedBackend[] {
  const { requestTimeout, balancer, readFilters, tell } = context;
  return refs.map((ref) => {
    const weight = ref.weight ?? 1;
    const found = resolveBackend(ref, context.routeNamespace, context.cluster);
    if ('problem' in found) {
      tell(`its requests get ${NO_BACKEND}: ${found.problem}`);
      return { weight, backend: { backend: NOTHING, filters: [failure(found.problem)] } };
    }
    const filters = readFilters(ref.filters, tell);
    const time = requestTimeout === undefined ? {} : { requestTimeout };
    return { weight, backend: { backend: balancer(found.service), filters, ...time } };
  });
}

const NOTHING: BackendInit = { metadata: defaultMetadata('invalid') };

function failure(message: string): OutboundFilterInit {
  return { kind: { case: 'failureInjector', value: { status: NO_BACKEND, message } } };
}

/** Why a backend can't be resolved, by the Gateway API's reasons. */
export type Unresolved = 'InvalidKind' | 'BackendNotFound' | 'UnsupportedValue';

/** The Service that a reference means, or what is wrong with it. */
export function resolveBackend(
  ref: BackendRef,
  routeNamespace: string,
  cluster: ClusterReader,
): { readonly service: ServicePortRef } | { readonly problem: string; readonly reason: Unresolved } {
  const { name = '', namespace = routeNamespace, port } = ref;
  if (!isKind({ kind: 'Service', ...ref }, '', 'Service'))
    return { reason: 'InvalidKind', problem: `the backend ${refText(ref)} must be a Service` };
  if (port === undefined)
    return { reason: 'UnsupportedValue', problem: `the backend ${name} must have a port` };
  const service = cluster.service(namespace, name);
  if (service === undefined || service.spec?.type === 'ExternalName')
    return {
      reason: 'BackendNotFound',
      problem: `the backend Service ${namespace}/${name} does not exist, or has no endpoints of its own`,
    };
  return { service: { namespace, name, port } };
}
