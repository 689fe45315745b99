import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import { type DefaultInboundPolicy, isDefaultInboundPolicy } from '../api/default-policies.ts';
import { type ProxyProtocolSchema, type Server, ServerSchema } from '../api/proto/gen/linkerd/inbound_pb.js';
import { annotation } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { isOpaquePodPort } from './opaque-ports.ts';
import { type AuthzInit, defaultAuthorizations, defaultLabels } from './policy/default-policy.ts';
import { DETECT_TIMEOUT, probeRoutes } from './policy/probe-routes.ts';
import { serverPolicy } from './policy/server-policy.ts';
import { mayHaveServer, serverOf } from './policy/server-selection.ts';
import type { DestinationSettings } from './settings.ts';
import type { WorkloadPod } from './workload-pod.ts';

/** What is to be told of one port of a pod. */
export type InboundResult =
  | { readonly kind: 'policy'; readonly policy: Server }
  /**
   * The pod is not in the cluster: not yet, no more, or it never was. `mayBeClosed`: a Server of its namespace could be for the port, or the default of the
   * namespace or of the install is not to let everybody in.
   */
  | { readonly kind: 'unknown-pod'; readonly mayBeClosed: boolean };

/** The policy of one port of a pod: that of the Server which is for it, else the default that its annotations, its namespace or the install ask for. */
export function inboundPolicy(
  workload: { namespace: string; pod: string },
  port: number,
  cluster: ClusterReader,
  settings: DestinationSettings,
): InboundResult {
  const pod = cluster.pod(workload.namespace, workload.pod);
  if (pod === undefined) {
    const { namespace } = workload;
    const isOpen = OPEN.has(namespacePolicy(namespace, cluster, settings));
    return { kind: 'unknown-pod', mayBeClosed: !isOpen || mayHaveServer(namespace, port, cluster) };
  }
  const server = serverOf(pod, port, cluster);
  const policy =
    server === undefined
      ? defaultPolicy(pod, port, cluster, settings)
      : serverPolicy(server, { pod, port }, cluster, settings);
  return { kind: 'policy', policy };
}

/** Default policies that let everybody in. */
const OPEN: ReadonlySet<DefaultInboundPolicy> = new Set(['all-unauthenticated', 'audit']);

/** Lets nobody in. Holds for a pod that is not known, where its port may be closed. */
export function closedPolicy(): Server {
  return create(ServerSchema, {
    protocol: { kind: { case: 'detect', value: { timeout: DETECT_TIMEOUT } } },
    authorizations: [],
    labels: defaultLabels('deny'),
  });
}

function defaultPolicy(
  pod: WorkloadPod,
  port: number,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Server {
  const namespace = cluster.namespace(pod.namespace);
  const policy = namedPolicy(pod.annotations) ?? namespacePolicy(pod.namespace, cluster, settings);
  const authorizations = defaultAuthorizations(policy, settings);
  const opaque = isOpaquePodPort(pod, namespace, port, settings.opaquePorts, cluster);
  return create(ServerSchema, {
    protocol: opaque ? { kind: { case: 'opaque', value: {} } } : detect(pod, port, policy, authorizations),
    authorizations,
    labels: defaultLabels(policy),
  });
}

function namespacePolicy(
  namespace: string,
  cluster: ClusterReader,
  settings: DestinationSettings,
): DefaultInboundPolicy {
  return namedPolicy(cluster.namespace(namespace)?.metadata?.annotations) ?? settings.defaultInboundPolicy;
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
  pod: WorkloadPod,
  port: number,
  policy: DefaultInboundPolicy,
  authorizations: AuthzInit[],
): MessageInitShape<typeof ProxyProtocolSchema> {
  const httpRoutes = OPEN.has(policy) ? [] : probeRoutes(pod, port, policy, authorizations);
  return { kind: { case: 'detect', value: { timeout: DETECT_TIMEOUT, httpRoutes } } };
}

/** True when a subscriber need not be told. */
export function sameInboundPolicy(a: InboundResult, b: InboundResult): boolean {
  if (a.kind === 'policy' && b.kind === 'policy') {
    return Buffer.compare(toBinary(ServerSchema, a.policy), toBinary(ServerSchema, b.policy)) === 0;
  }
  return a.kind === 'unknown-pod' && b.kind === 'unknown-pod' && a.mayBeClosed === b.mayBeClosed;
}
