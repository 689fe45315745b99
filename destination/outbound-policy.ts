import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import {
  type OutboundPolicy,
  OutboundPolicySchema,
  type ProxyProtocolSchema,
} from '../api/proto/gen/linkerd/outbound_pb.js';
import type { ClusterReader } from './cluster-state.ts';
import { serviceOfAddress } from './endpoint-set.ts';
import { defaultMetadata, serviceMetadata } from './metadata.ts';
import { isOpaqueServicePort } from './opaque-ports.ts';
import { fullyQualifiedName } from './profile.ts';
import type { BackendInit, ServicePortRef } from './routes/backends.ts';
import { EVERY_REQUEST } from './routes/matches.ts';
import {
  type HttpRouteInit,
  outboundGrpcRoutes,
  outboundHttpRoutes,
  type RouteContext,
} from './routes/service-routes.ts';
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

/**
 * A client's policy towards a target: the routes that hold for its namespace, or one route whose only backend is the
 * Service itself; with what the Service's annotations ask.
 * @param clientNamespace undefined: it is not known where the client is
 */
export function outboundPolicy(
  target: ServiceTarget | AddressTarget,
  clientNamespace: string | undefined,
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
  const traffic = trafficSettings(service.metadata?.annotations);
  const balancer = (to: ServicePortRef): BackendInit => serviceBackend(to, traffic, settings);
  const context = {
    parent: { service, port: named.port, clientNamespace },
    cluster,
    traffic,
    own: podBackend(named, traffic, settings),
    balancer,
  };
  const isOpaque = isOpaqueServicePort(service, namespace, named.port, settings.opaquePorts);
  return {
    kind: 'policy',
    policy: create(OutboundPolicySchema, {
      metadata: serviceMetadata(named),
      protocol: { kind: isOpaque ? { case: 'opaque', value: opaque(context.own) } : httpProtocol(context) },
    }),
    problems: traffic.problems,
  };
}

function serviceBackend(
  to: ServicePortRef,
  traffic: TrafficSettings,
  settings: DestinationSettings,
): BackendInit {
  return podBackend({ kind: 'service', certain: true, ...to }, traffic, settings);
}

/** A Service, or one pod of a headless one. */
function podBackend(
  target: ServiceTarget,
  { penalty }: TrafficSettings,
  settings: DestinationSettings,
): BackendInit {
  const path = `${fullyQualifiedName(target, settings.clusterDomain)}:${target.port}`;
  return {
    metadata: serviceMetadata(target),
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

/** Routes for calls of gRPC, where there are some, go before those for HTTP (GAMMA). */
function httpProtocol(
  context: RouteContext,
): NonNullable<MessageInitShape<typeof ProxyProtocolSchema>['kind']> {
  const { own, traffic } = context;
  const accrual = failureAccrual(traffic.accrual);
  const calls = outboundGrpcRoutes(context);
  if (calls.length > 0) return { case: 'grpc', value: { routes: calls, ...accrual } };
  const written = outboundHttpRoutes(context);
  const http = { routes: written.length > 0 ? written : [defaultHttpRoute(own, traffic)], ...accrual };
  return {
    case: 'detect',
    value: { timeout: DETECT_TIMEOUT, opaque: opaque(own), http1: http, http2: http },
  };
}

function opaque(own: BackendInit) {
  return { routes: [{ metadata: defaultMetadata('opaque'), rules: [{ backends: only(own) }] }] };
}

function defaultHttpRoute(own: BackendInit, traffic: TrafficSettings): HttpRouteInit {
  return {
    metadata: defaultMetadata('http'),
    rules: [{ matches: [EVERY_REQUEST], backends: only(own), ...httpRule(traffic) }],
  };
}

function only(backend: BackendInit) {
  return { kind: { case: 'firstAvailable' as const, value: { backends: [{ backend }] } } };
}

/** True when a subscriber need not be told. */
export function sameOutboundPolicy(a: OutboundResult, b: OutboundResult): boolean {
  if (a.kind === 'none' || b.kind === 'none') return a.kind === b.kind;
  const bytes = (result: typeof a): Uint8Array => toBinary(OutboundPolicySchema, result.policy);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
