import { create, toBinary } from '@bufbuild/protobuf';

import {
  type DestinationProfile,
  DestinationProfileSchema,
} from '../api/proto/gen/linkerd/destination_pb.js';
import type { ClusterReader } from './cluster-state.ts';
import { weightedAddr } from './endpoint.ts';
import { addressEndpoint, notAService, serviceOfAddress } from './endpoint-set.ts';
import { serviceMetadata } from './metadata.ts';
import { isOpaqueServicePort } from './opaque-ports.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';

/** What a target is, or why it is nothing that has a profile. */
export type ProfileResult =
  | { readonly kind: 'profile'; readonly profile: DestinationProfile }
  | { readonly kind: 'not-a-service'; readonly reason: string };

/** Linkerd's retry budget where no ServiceProfile says otherwise. */
const RETRY_BUDGET = { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: { seconds: 10n } };

/**
 * The profile of a target. A Service name has one before the Service exists, since a mirror may appear later; a bare address always has one,
 * with the endpoint in it.
 */
export function profileOf(
  target: ServiceTarget | AddressTarget,
  cluster: ClusterReader,
  settings: DestinationSettings,
): ProfileResult {
  if (target.kind === 'service') return serviceProfile(target, cluster, settings);
  const service = serviceOfAddress(target, cluster);
  if (service !== undefined) return serviceProfile(service, cluster, settings);
  const endpoint = addressEndpoint(target, cluster, settings);
  return {
    kind: 'profile',
    profile: create(DestinationProfileSchema, {
      opaqueProtocol: endpoint.opaque,
      retryBudget: RETRY_BUDGET,
      endpoint: weightedAddr(endpoint),
    }),
  };
}

function serviceProfile(
  target: ServiceTarget,
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
  return {
    kind: 'profile',
    profile: create(DestinationProfileSchema, {
      fullyQualifiedName: fullyQualifiedName(target, settings.clusterDomain),
      opaqueProtocol,
      retryBudget: RETRY_BUDGET,
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
