import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import { type ProxyProtocolSchema, type Server, ServerSchema } from '../api/proto/gen/linkerd/inbound_pb.js';
import { annotation } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { isOpaquePodPort } from './opaque-ports.ts';
import { type AuthzInit, defaultAuthorizations, defaultLabels } from './policy/default-policy.ts';
import { DETECT_TIMEOUT, probeRoutes } from './policy/probe-routes.ts';
import { serverPolicy } from './policy/server-policy.ts';
import { serverOf } from './policy/server-selection.ts';
import { type DefaultInboundPolicy, type DestinationSettings, isDefaultInboundPolicy } from './settings.ts';
import type { WorkloadPod } from './workload-pod.ts';

/**
 * The policy of one port of a pod: that of the Server which is for it, else the default that its annotations, its namespace or the install ask for. A pod that is not known yet gets its
 * namespace's: a proxy that is told NotFound lets everyone in.
 */
export function inboundPolicy(
  workload: { namespace: string; pod: string },
  port: number,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Server {
  const pod = cluster.pod(workload.namespace, workload.pod);
  const server = pod === undefined ? undefined : serverOf(pod, port, cluster);
  if (pod !== undefined && server !== undefined)
    return serverPolicy(server, { pod, port }, cluster, settings);
  const namespace = cluster.namespace(workload.namespace);
  const policy =
    namedPolicy(pod?.annotations) ??
    namedPolicy(namespace?.metadata?.annotations) ??
    settings.defaultInboundPolicy;
  const authorizations = defaultAuthorizations(policy, settings);
  const opaque = isOpaquePodPort(pod, namespace, port, settings.opaquePorts, cluster);
  return create(ServerSchema, {
    protocol: opaque ? { kind: { case: 'opaque', value: {} } } : detect(pod, port, policy, authorizations),
    authorizations,
    labels: defaultLabels(policy),
  });
}

/** A policy's name in an annotation, ours before Linkerd's; one that does not exist is passed over, since refusing would cut the pod off for a typing error. */
function namedPolicy(
  annotations: Readonly<Record<string, string>> | undefined,
): DefaultInboundPolicy | undefined {
  const name =
    annotations?.[annotation.isthmusDefaultInboundPolicy] ?? annotations?.[annotation.defaultInboundPolicy];
  return name !== undefined && isDefaultInboundPolicy(name) ? name : undefined;
}

function detect(
  pod: WorkloadPod | undefined,
  port: number,
  policy: DefaultInboundPolicy,
  authorizations: AuthzInit[],
): MessageInitShape<typeof ProxyProtocolSchema> {
  const httpRoutes =
    policy === 'all-unauthenticated' || policy === 'audit'
      ? []
      : probeRoutes(pod, port, policy, authorizations);
  return { kind: { case: 'detect', value: { timeout: DETECT_TIMEOUT, httpRoutes } } };
}

/** True when a subscriber need not be told. */
export function sameInboundPolicy(a: Server, b: Server): boolean {
  return Buffer.compare(toBinary(ServerSchema, a), toBinary(ServerSchema, b)) === 0;
}
