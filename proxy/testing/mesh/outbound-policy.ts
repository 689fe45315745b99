import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  OutboundPolicySchema,
  type FailureAccrualSchema,
  type HttpRoute_RuleSchema,
  type OutboundPolicy,
} from '../../../api/proto/gen/linkerd/outbound_pb.js';

/** A policy with one route for everything. */
export function trafficPolicy(
  rule: MessageInitShape<typeof HttpRoute_RuleSchema>,
  failureAccrual?: MessageInitShape<typeof FailureAccrualSchema>,
): OutboundPolicy {
  const http = {
    routes: [{ rules: [rule] }],
    ...(failureAccrual === undefined ? {} : { failureAccrual }),
  };
  return create(OutboundPolicySchema, {
    protocol: { kind: { case: 'detect', value: { http1: http, http2: http } } },
  });
}

/** A duration as the proxy API holds it. */
export function duration(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 };
}
