import type { PortSpec, Server } from '../api/proto/gen/linkerd/inbound_pb.js';
import type { OutboundPolicy, TrafficSpec } from '../api/proto/gen/linkerd/outbound_pb.js';
import type { Log } from '../kubernetes/log.ts';
import { GrpcError, grpcStatus } from '../workload-identity/index.ts';
import { parseContextToken, parseWorkload } from './context-token.ts';
import { targetKey } from './destination-service.ts';
import { closedPolicy, inboundPolicy, type InboundResult, sameInboundPolicy } from './inbound-policy.ts';
import { ipText } from './ip-address.ts';
import { outboundPolicy, type OutboundResult, sameOutboundPolicy } from './outbound-policy.ts';
import type { ServerStream } from './server-stream.ts';
import type { DestinationSettings } from './settings.ts';
import { sharing, type Step, type StreamDeps, streamView } from './stream-view.ts';
import { parseTarget, type Target } from './target.ts';

/** ms that the policy of a pod which is not known is waited for, where its port may be closed. Less than proxies wait for a first answer, 1 s. */
const UNKNOWN_POD_MS = 500;

/** `InboundServerPolicies` and `OutboundPolicies`. Calls throw GrpcError for what can't be answered. */
export interface PolicyService {
  getPort(request: PortSpec): Server;
  /** Tells nothing of a pod that is not known, but that its port is closed where it may be. */
  watchPort(request: PortSpec, stream: ServerStream<Server>): void;
  getOutbound(request: TrafficSpec): OutboundPolicy;
  /** Ends with NotFound when the target is no Service: the proxy then follows the profile. */
  watchOutbound(request: TrafficSpec, stream: ServerStream<OutboundPolicy>): void;
}

/** @param logger is told of annotations that mean nothing */
export function createPolicyService(
  deps: StreamDeps,
  settings: DestinationSettings,
  logger?: Log,
): PolicyService {
  return {
    getPort: (request) => {
      const { workload, port } = portSpec(request);
      const result = deps.views.once((cluster) => inboundPolicy(workload, port, cluster, settings));
      if (result.kind === 'policy') return result.policy;
      throw notFound(`pod ${workload.namespace}/${workload.pod} is not known`);
    },
    watchPort: (request, stream) => {
      const { workload, port } = portSpec(request);
      streamView(
        deps,
        {
          method: 'WatchPort',
          watch: sharing(`inbound ${workload.namespace}/${workload.pod} ${port}`, {
            compute: (cluster) => inboundPolicy(workload, port, cluster, settings),
            equal: sameInboundPolicy,
          }),
          step: inboundStep,
        },
        stream,
      );
    },
    getOutbound: (request) => {
      const target = trafficTarget(request, settings);
      const { namespace } = parseContextToken(request.sourceWorkload);
      const result = deps.views.once((cluster) => outboundPolicy(target, namespace, cluster, settings));
      if (result.kind === 'policy') return result.policy;
      throw notFound(result.reason);
    },
    watchOutbound: (request, stream) => {
      const target = trafficTarget(request, settings);
      const { namespace } = parseContextToken(request.sourceWorkload);
      streamView(
        deps,
        {
          method: 'Watch',
          watch: sharing(`outbound ${namespace ?? ''} ${targetKey(target)}`, {
            compute: (cluster) => told(outboundPolicy(target, namespace, cluster, settings), logger),
            equal: sameOutboundPolicy,
          }),
          step: (_before, after: OutboundResult): Step<OutboundPolicy> => outboundStep(after),
        },
        stream,
      );
    },
  };
}

/**
 * A pod that a proxy runs in is known in a moment, so its proxy is told nothing until then: what it would be told could
 * be too much. If that takes longer than the proxy waits, what may be closed is. For all else the proxy's own default
 * holds, which knows the pod's annotations. What was told of a pod that is gone stays: its process may still have
 * requests to end.
 */
function inboundStep(before: InboundResult | undefined, after: InboundResult): Step<Server> {
  if (after.kind === 'policy') return { messages: [after.policy] };
  if (before?.kind === 'policy' || !after.mayBeClosed) return { messages: [] };
  return { afterMs: UNKNOWN_POD_MS, message: closedPolicy() };
}

/** Tells a person who looks for why an annotation does nothing: what is wrong counts as absent. */
function told(result: OutboundResult, logger: Log | undefined): OutboundResult {
  if (result.kind === 'policy' && result.problems.length > 0) {
    const { kind } = result.policy.metadata ?? {};
    const { namespace, name } = kind?.case === 'resource' ? kind.value : {};
    logger?.warn({ namespace, service: name, problems: result.problems }, 'annotations without effect');
  }
  return result;
}

function outboundStep(result: OutboundResult): Step<OutboundPolicy> {
  return result.kind === 'policy' ? { messages: [result.policy] } : { end: notFound(result.reason) };
}

function portSpec(request: PortSpec): { workload: { namespace: string; pod: string }; port: number } {
  if (request.port < 1 || request.port > 65_535) {
    throw new GrpcError(grpcStatus.invalidArgument, `port ${request.port}: must be from 1 to 65535`);
  }
  return { workload: parseWorkload(request.workload), port: request.port };
}

/** A name that can't be a Service gets NotFound here, not InvalidArgument: the latter makes a proxy reset its client. */
function trafficTarget(request: TrafficSpec, settings: DestinationSettings): Target {
  if (request.target.case === 'addr') {
    const { ip, port } = request.target.value;
    const text = ipText(ip);
    if (text !== undefined && port >= 1 && port <= 65_535) return { kind: 'address', ip: text, port };
  }
  if (request.target.case === 'authority') {
    const { namespace } = parseContextToken(request.sourceWorkload);
    try {
      return parseTarget(request.target.value, settings.clusterDomain, namespace);
    } catch (error) {
      if (error instanceof GrpcError) throw notFound(error.details);
      throw error;
    }
  }
  throw new GrpcError(
    grpcStatus.invalidArgument,
    'the target must be an address with a port, or an authority',
  );
}

function notFound(reason: string): GrpcError {
  return new GrpcError(grpcStatus.notFound, reason);
}
