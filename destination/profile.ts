import { create, toBinary } from '@bufbuild/protobuf';

import {
  type DestinationProfile,
  DestinationProfileSchema,
} from '../api/proto/gen/linkerd/destination_pb.js';
import type { ClusterReader } from './cluster-state.ts';
import { weightedAddr } from './endpoint.ts';
import { addressEndpoint, notAService, serviceOfAddress } from './endpoint-set.ts';
import { resources } from '../kubernetes/resources.ts';
import { routeMetadata, serviceMetadata } from './metadata.ts';
import { isOpaqueServicePort } from './opaque-ports.ts';
import { untold } from './policy/problems.ts';
import {
  DEFAULT_RETRY_BUDGET,
  destinationOverrides,
  profileRoutes,
  retryBudget,
} from './profile/profile-routes.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';

/** What a target is, or why it is nothing that has a profile. */
export type ProfileResult =
  | { readonly kind: 'profile'; readonly profile: DestinationProfile }
  | { readonly kind: 'not-a-service'; readonly reason: string };

/**
 * The profile of a target. A Service name has one before the Service exists, since a mirror may appear later; a bare address always has one,
 * with the endpoint in it. A ServiceProfile of the client's namespace goes before one of the Service's.
 * @param clientNamespace undefined: it is not known where the client is
 */
export function profileOf(
  target: ServiceTarget | AddressTarget,
  clientNamespace: string | undefined,
  cluster: ClusterReader,
  settings: DestinationSettings,
): ProfileResult {
  if (target.kind === 'service') return serviceProfile(target, clientNamespace, cluster, settings);
  const service = serviceOfAddress(target, cluster);
  if (service !== undefined) return serviceProfile(service, clientNamespace, cluster, settings);
  const { endpoint } = addressEndpoint(target, cluster, settings);
  return {
    kind: 'profile',
    profile: create(DestinationProfileSchema, {
      opaqueProtocol: endpoint.opaque,
      retryBudget: DEFAULT_RETRY_BUDGET,
      endpoint: weightedAddr(endpoint),
    }),
  };
}

function serviceProfile(
  target: ServiceTarget,
  clientNamespace: string | undefined,
  cluster: ClusterReader,
  settings: DestinationSettings,
): ProfileResult {
  const service = cluster.service(target.namespace, target.name);
  const refused = notAService(target, service, cluster);
  if (refused !== undefined) return { kind: 'not-a-service', reason: refused };
  const namespace = cluster.namespace(target.namespace);
  const opaqueProtocol =
    service === undefined
      ? settings.opaquePorts.includes(target.port)
      : isOpaqueServicePort(service, namespace, target.port, settings.opaquePorts);
  const name = fullyQualifiedName(target, settings.clusterDomain);
  const written =
    (clientNamespace === undefined ? undefined : cluster.policy('serviceProfiles', clientNamespace, name)) ??
    cluster.policy('serviceProfiles', target.namespace, name);
  return {
    kind: 'profile',
    profile: create(DestinationProfileSchema, {
      fullyQualifiedName: name,
      opaqueProtocol,
      ...(written === undefined
        ? { retryBudget: DEFAULT_RETRY_BUDGET }
        : {
            routes: profileRoutes(written, untold),
            retryBudget: retryBudget(written, untold),
            dstOverrides: destinationOverrides(written, target.port),
            profileRef: routeMetadata(resources.serviceProfiles, written),
          }),
      parentRef: serviceMetadata(target),
    }),
  };
}

/** The one name of a Service, or of one pod of a headless Service. */
export function fullyQualifiedName(target: ServiceTarget, clusterDomain: string): string {
  const host = target.hostname === undefined ? '' : `${target.hostname}.`;
  return `${host}${target.name}.${target.namespace}.svc.${clusterDomain}`;
}

/** True when a subscriber need not be told. */
export function sameProfile(a: ProfileResult, b: ProfileResult): boolean {
  if (a.kind === 'not-a-service' || b.kind === 'not-a-service') return a.kind === b.kind;
  const bytes = (result: typeof a): Uint8Array => toBinary(DestinationProfileSchema, result.profile);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
