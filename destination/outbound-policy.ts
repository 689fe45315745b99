import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import {
  type BackendSchema,
  type OutboundPolicy,
  OutboundPolicySchema,
  type ProxyProtocolSchema,
} from '../api/proto/gen/linkerd/outbound_pb.js';
import type { ClusterReader } from './cluster-state.ts';
import { serviceOfAddress } from './endpoint-set.ts';
import { defaultMetadata, serviceMetadata } from './metadata.ts';
import { isOpaqueServicePort } from './opaque-ports.ts';
import { fullyQualifiedName } from './profile.ts';
import type { DestinationSettings } from './settings.ts';
import type { AddressTarget, ServiceTarget } from './target.ts';
import { type TrafficSettings, trafficSettings } from './traffic-annotations.ts';
import { failureAccrual, httpRule, protoDuration } from './traffic-policy.ts';

/** The policy, or why there is none: a proxy then follows the profile's endpoint, or goes to the address itself. */
export type OutboundResult =
  /** `problems`: annotations of the Service that mean nothing. */
  | { readonly kind: 'policy'; readonly policy: OutboundPolicy; readonly problems: readonly string[] }
  | { readonly kind: 'none'; readonly reason: string };

/** Linkerd's defaults: protocol detection, EWMA, queue in front of a balancer. */
const DETECT_TIMEOUT = { seconds: 10n };
const DEFAULT_RTT = { nanos: 30_000_000 };
const EWMA_DECAY = { seconds: 10n };
const QUEUE_CAPACITY = 10_000;
const FAILFAST_TIMEOUT = { seconds: 3n };

/** A client's policy towards a target: one route, whose only backend is the Service itself, with what the Service's annotations ask. */
export function outboundPolicy(
  target: ServiceTarget | AddressTarget,
  cluster: ClusterReader,
  settings: DestinationSettings,
): OutboundResult {
  const named = target.kind === 'service' ? target : serviceOfAddress(target, cluster);
  if (named === undefined) return { kind: 'none', reason: 'no Service has that address' };
  const service = cluster.service(named.namespace, named.name);
  if (service === undefined || service.spec?.type === 'ExternalName') {
    return { kind: 'none', reason: `there is no Service ${named.namespace}/${named.name} with endpoints` };
  }
  const namespace = cluster.namespace(named.namespace);
  const opaque = isOpaqueServicePort(service, namespace, named.port, settings.opaquePorts);
  const path = `${fullyQualifiedName(named, settings.clusterDomain)}:${named.port}`;
  const traffic = trafficSettings(service.metadata?.annotations);
  return {
    kind: 'policy',
    policy: create(OutboundPolicySchema, {
      metadata: serviceMetadata(named),
      protocol: protocol(serviceBackend(named, path, traffic), opaque, traffic),
    }),
    problems: traffic.problems,
  };
}

function serviceBackend(
  service: ServiceTarget,
  path: string,
  { penalty }: TrafficSettings,
): MessageInitShape<typeof BackendSchema> {
  return {
    metadata: serviceMetadata(service),
    queue: { capacity: QUEUE_CAPACITY, failfastTimeout: FAILFAST_TIMEOUT },
    kind: {
      case: 'balancer',
      value: {
        discovery: { kind: { case: 'dst', value: { path } } },
        load:
          penalty === undefined
            ? { case: 'peakEwma', value: { defaultRtt: DEFAULT_RTT, decay: EWMA_DECAY } }
            : {
                case: 'penaltyPeakEwma',
                value: {
                  defaultRtt: DEFAULT_RTT,
                  decay: EWMA_DECAY,
                  penalty: protoDuration(penalty.penaltyMs),
                  maxRetryAfter: protoDuration(penalty.maxRetryAfterMs),
                  penaltyDecay: EWMA_DECAY,
                },
              },
      },
    },
  };
}

function protocol(
  backend: MessageInitShape<typeof BackendSchema>,
  opaque: boolean,
  traffic: TrafficSettings,
): MessageInitShape<typeof ProxyProtocolSchema> {
  const backends = { kind: { case: 'firstAvailable' as const, value: { backends: [{ backend }] } } };
  const opaqueRoutes = {
    routes: [{ metadata: defaultMetadata('opaque'), rules: [{ backends }] }],
  };
  if (opaque) return { kind: { case: 'opaque', value: opaqueRoutes } };
  const everyPath = { path: { kind: { case: 'prefix', value: '/' } } } as const;
  const httpRoutes = {
    routes: [
      {
        metadata: defaultMetadata('http'),
        rules: [{ matches: [everyPath], backends, ...httpRule(traffic) }],
      },
    ],
    ...failureAccrual(traffic.accrual),
  };
  return {
    kind: {
      case: 'detect',
      value: { timeout: DETECT_TIMEOUT, opaque: opaqueRoutes, http1: httpRoutes, http2: httpRoutes },
    },
  };
}

/** True when a subscriber need not be told. */
export function sameOutboundPolicy(a: OutboundResult, b: OutboundResult): boolean {
  if (a.kind === 'none' || b.kind === 'none') return a.kind === b.kind;
  const bytes = (result: typeof a): Uint8Array => toBinary(OutboundPolicySchema, result.policy);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
