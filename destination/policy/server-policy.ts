import { create, type MessageInitShape } from '@bufbuild/protobuf';

import { isDefaultInboundPolicy } from '../../api/default-policies.ts';
import { POLICY_GROUP, type PolicyServer } from '../../api/policy-types.ts';
import {
  type ProxyProtocolSchema,
  type Server,
  ServerSchema,
} from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { ClusterReader } from '../cluster-state.ts';
import type { DestinationSettings } from '../settings.ts';
import type { WorkloadPod } from '../workload-pod.ts';
import { type AuthzInit, policyAuthorization, targetOf } from './authorization.ts';
import { defaultAuthorizations } from './default-policy.ts';
import { DETECT_TIMEOUT, probeRoutes } from './probe-routes.ts';
import { quoted, type TellProblem, untold } from './problems.ts';
import { serverRateLimit } from './rate-limit.ts';
import { selectsServer, serverAuthorization } from './server-authorization.ts';
import { serverProtocol } from './server-protocol.ts';
import { serverGrpcRoutes, serverHttpRoutes } from './server-routes.ts';

type ProtocolInit = MessageInitShape<typeof ProxyProtocolSchema>;

/** The policy of a pod's port that a Server is for: whom its authorizations name, and nobody else but by its access policy. */
export function serverPolicy(
  server: PolicyServer,
  at: { pod: WorkloadPod; port: number },
  cluster: ClusterReader,
  settings: DestinationSettings,
): Server {
  const name = server.metadata?.name ?? '';
  const authorizations = serverAuthorizations(server, cluster, settings);
  return create(ServerSchema, {
    protocol: protocolOf(server, at, cluster, settings),
    authorizations,
    labels: { group: POLICY_GROUP, kind: 'server', name },
  });
}

/** Whom the authorizations of a Server let in. What can't be understood lets nobody in. */
function serverAuthorizations(
  server: PolicyServer,
  cluster: ClusterReader,
  settings: DestinationSettings,
): AuthzInit[] {
  const { namespace = '', name } = server.metadata ?? {};
  const older = cluster
    .policies('serverAuthorizations', namespace)
    .filter((one) => selectsServer(one, server))
    .map((one) => serverAuthorization(one, settings, untold));
  const policies = cluster
    .policies('authorizationPolicies', namespace)
    .filter((policy) => {
      const target = targetOf(policy, untold);
      return target?.kind === 'namespace' || (target?.kind === 'server' && target.name === name);
    })
    .map((policy) => policyAuthorization(policy, cluster, settings, untold));
  const understood = [...older, ...policies].filter((authorization) => authorization !== undefined);
  // Last, so that metrics show the authorization that was made for the client.
  return [...understood, ...defaultAuthorizations(accessPolicy(server, untold), settings)];
}

/** Who is let in that no authorization names: nobody, unless the Server says otherwise. */
export function accessPolicy({ spec }: PolicyServer, tell: TellProblem) {
  const text = spec?.accessPolicy ?? 'deny';
  if (isDefaultInboundPolicy(text)) return text;
  tell(`nobody else is let in: accessPolicy is ${quoted(text)}, which is no default policy`);
  return 'deny';
}

function protocolOf(
  server: PolicyServer,
  { pod, port }: { pod: WorkloadPod; port: number },
  cluster: ClusterReader,
  settings: DestinationSettings,
): ProtocolInit {
  const protocol = serverProtocol(server, untold);
  if (protocol === 'opaque' || protocol === 'tls') return { kind: { case: protocol, value: {} } };
  if (protocol === 'grpc') {
    return { kind: { case: 'grpc', value: { routes: serverGrpcRoutes(server, cluster, settings) } } };
  }
  const own = serverHttpRoutes(server, cluster, settings);
  // Routes of its own say all that is open, as with Linkerd: whoever writes them names the probes as well.
  const httpRoutes = own.length === 0 ? probeRoutes(pod, port, 'default', []) : own;
  const limit = serverRateLimit(server, cluster, settings);
  if (protocol === 'detect') {
    const limited = limit === undefined ? {} : { httpLocalRateLimit: limit };
    return { kind: { case: 'detect', value: { timeout: DETECT_TIMEOUT, httpRoutes, ...limited } } };
  }
  const limited = limit === undefined ? {} : { localRateLimit: limit };
  return { kind: { case: protocol, value: { routes: httpRoutes, ...limited } } };
}
