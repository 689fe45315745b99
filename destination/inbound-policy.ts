import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';

import {
  type AuthzSchema,
  type HttpRouteSchema,
  type ProxyProtocolSchema,
  type Server,
  ServerSchema,
} from '../api/proto/gen/linkerd/inbound_pb.js';
import { HttpMethod_Registered } from '../api/proto/gen/linkerd/http_types_pb.js';
import { annotation } from '../api/names.ts';
import type { ClusterReader } from './cluster-state.ts';
import { ipNetwork } from './ip-address.ts';
import { defaultMetadata } from './metadata.ts';
import { isOpaquePodPort } from './opaque-ports.ts';
import { type DefaultInboundPolicy, type DestinationSettings, isDefaultInboundPolicy } from './settings.ts';
import type { WorkloadPod } from './workload-pod.ts';

/** Linkerd's detection time limit. */
const DETECT_TIMEOUT = { seconds: 10n };

const EVERYWHERE: readonly string[] = ['0.0.0.0/0', '::/0'];

/**
 * The policy of one port of a pod: the default that its annotations, its namespace or the install ask for. A pod that is not known yet gets its
 * namespace's: a proxy that is told NotFound lets everyone in.
 */
export function inboundPolicy(
  workload: { namespace: string; pod: string },
  port: number,
  cluster: ClusterReader,
  settings: DestinationSettings,
): Server {
  const pod = cluster.pod(workload.namespace, workload.pod);
  const namespace = cluster.namespace(workload.namespace);
  const policy =
    namedPolicy(pod?.annotations) ??
    namedPolicy(namespace?.metadata?.annotations) ??
    settings.defaultInboundPolicy;
  const authorizations = authorizationsOf(policy, settings);
  const opaque = isOpaquePodPort(pod, namespace, port, settings.opaquePorts);
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

type AuthzInit = MessageInitShape<typeof AuthzSchema>;

/** Whom each default policy lets in; `deny` nobody. */
const ADMITTED: Record<
  DefaultInboundPolicy,
  { from: 'anywhere' | 'cluster'; clients: 'anyone' | 'meshed' } | undefined
> = {
  'all-unauthenticated': { from: 'anywhere', clients: 'anyone' },
  'all-authenticated': { from: 'anywhere', clients: 'meshed' },
  'cluster-unauthenticated': { from: 'cluster', clients: 'anyone' },
  'cluster-authenticated': { from: 'cluster', clients: 'meshed' },
  deny: undefined,
  audit: { from: 'anywhere', clients: 'anyone' },
};

function authorizationsOf(policy: DefaultInboundPolicy, settings: DestinationSettings): AuthzInit[] {
  const admitted = ADMITTED[policy];
  if (admitted === undefined) return [];
  const networks = admitted.from === 'anywhere' ? EVERYWHERE : settings.clusterNetworks;
  return [authorization(policy, networks, admitted.clients)];
}

function authorization(name: string, networks: readonly string[], clients: 'anyone' | 'meshed'): AuthzInit {
  return {
    networks: networks.map((cidr) => ({ net: ipNetwork(cidr) })),
    // A suffix without parts fits every mesh identity.
    authentication:
      clients === 'anyone'
        ? { permit: { case: 'unauthenticated', value: {} } }
        : {
            permit: {
              case: 'meshTLS',
              value: { clients: { case: 'identities', value: { suffixes: [{ parts: [] }] } } },
            },
          },
    labels: defaultLabels(name),
    metadata: defaultMetadata(name),
  };
}

function defaultLabels(name: string): Record<string, string> {
  return { group: '', kind: 'default', name };
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

/**
 * Under a policy that could refuse the kubelet, exactly the probe paths that the pod declares stay open. No routes at all stand for the one default route;
 * where there are some, the default has to be among them.
 */
function probeRoutes(
  pod: WorkloadPod | undefined,
  port: number,
  policy: string,
  authorizations: AuthzInit[],
): MessageInitShape<typeof HttpRouteSchema>[] {
  const paths = pod?.probePaths.get(port) ?? [];
  if (paths.length === 0) return [];
  const get = { type: { case: 'registered', value: HttpMethod_Registered.GET } } as const;
  return [
    {
      metadata: defaultMetadata('probe'),
      authorizations: [authorization('probe', EVERYWHERE, 'anyone')],
      rules: [
        {
          matches: paths.map(
            (path) => ({ path: { kind: { case: 'exact', value: path } }, method: get }) as const,
          ),
        },
      ],
    },
    {
      metadata: defaultMetadata(policy),
      authorizations,
      rules: [{ matches: [{ path: { kind: { case: 'prefix', value: '/' } } }] }],
    },
  ];
}

/** True when a subscriber need not be told. */
export function sameInboundPolicy(a: Server, b: Server): boolean {
  return Buffer.compare(toBinary(ServerSchema, a), toBinary(ServerSchema, b)) === 0;
}
