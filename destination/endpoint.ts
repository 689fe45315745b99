import { create } from '@bufbuild/protobuf';

import {
  type ProtocolHint,
  ProtocolHintSchema,
  type TlsIdentity,
  TlsIdentitySchema,
  type WeightedAddr,
  WeightedAddrSchema,
} from '../api/proto/gen/linkerd/destination_pb.js';
import { annotation, dnsIdentity, parseSpiffeId, port as ports, spiffeId } from '../api/names.ts';
import { tcpAddress } from './ip-address.ts';
import { hasPort } from './port-set.ts';
import type { DestinationSettings } from './settings.ts';
import type { WorkloadPod } from './workload-pod.ts';

/** Linkerd's weight of every endpoint. */
const WEIGHT = 10_000;

/** Whom a client must meet. */
export interface EndpointIdentity {
  /** Absent for workloads of a Linkerd mesh. */
  readonly spiffeId?: string;
  /** Also the SNI; absent for a gateway that is named by a SPIFFE ID of a form that isn't ours. */
  readonly dnsName?: string;
}

/** One address that a proxy may dial, with all it must know. Plain data; equal fingerprints mean equal endpoints. */
export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  /** Absent: plaintext. */
  readonly identity?: EndpointIdentity;
  /** Port that takes `isthmus/1` and `transport.l5d.io/v1`; absent where no proxy is. */
  readonly inboundPort?: number;
  readonly opaque: boolean;
  /** What a gateway is asked for: `<svc>.<ns>.svc.<domain>:<port>`. */
  readonly authority?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod?: { readonly namespace: string; readonly name: string };
}

/** A pod's port. */
export function podEndpoint(
  pod: WorkloadPod,
  address: { ip: string; port: number; opaque: boolean; zone?: string | undefined },
  settings: DestinationSettings,
): Endpoint {
  const base = {
    ip: address.ip,
    port: address.port,
    opaque: address.opaque,
    labels: podLabels(pod, address.zone),
    pod: { namespace: pod.namespace, name: pod.name },
  };
  if (!isMeshed(pod, address.port, settings)) return base;
  const workload = { namespace: pod.namespace, serviceAccount: pod.serviceAccount };
  const { trustDomain, meshNamespace, clusterName } = settings;
  return {
    ...base,
    inboundPort: pod.proxyPort ?? ports.inbound,
    identity: {
      spiffeId: spiffeId({ ...workload, trustDomain, clusterId: clusterName }),
      dnsName: dnsIdentity({ ...workload, trustDomain, meshNamespace }),
    },
  };
}

/** An address that no pod of the cluster is known to hold. */
export function plainEndpoint(address: { ip: string; port: number; opaque: boolean }): Endpoint {
  return { ...address, labels: {} };
}

/** Another cluster's gateway, on behalf of one of its services. */
export function gatewayEndpoint(gateway: {
  ip: string;
  port: number;
  /** As the mirror controller wrote it: SPIFFE ID, or the DNS identity of a Linkerd gateway. */
  identity: string;
  authority: string;
  opaque: boolean;
}): Endpoint {
  return {
    ip: gateway.ip,
    port: gateway.port,
    opaque: gateway.opaque,
    inboundPort: gateway.port,
    authority: gateway.authority,
    identity: gatewayIdentity(gateway.identity),
    labels: {},
  };
}

/** A gateway runs in its mesh's own namespace, so its SPIFFE ID says all that its DNS identity is made of. */
function gatewayIdentity(identity: string): EndpointIdentity {
  const workload = parseSpiffeId(identity);
  if (workload !== undefined) {
    return { spiffeId: identity, dnsName: dnsIdentity({ ...workload, meshNamespace: workload.namespace }) };
  }
  return identity.startsWith('spiffe://') ? { spiffeId: identity } : { dnsName: identity };
}

function isMeshed(pod: WorkloadPod, port: number, settings: DestinationSettings): boolean {
  const isOurs = pod.proxyPort !== undefined && pod.controlPlaneNs === settings.meshNamespace;
  return isOurs && !pod.hostNetwork && !hasPort(pod.skippedPorts, port);
}

function podLabels(pod: WorkloadPod, zone: string | undefined): Record<string, string> {
  return {
    pod: pod.name,
    serviceaccount: pod.serviceAccount,
    ...(pod.owner === undefined ? {} : { [pod.owner.kind]: pod.owner.name }),
    ...(pod.controlPlaneNs === undefined ? {} : { control_plane_ns: pod.controlPlaneNs }),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** Annotation values that turn an EndpointSlice into the gateway of a mirror. */
export function gatewayOf(
  annotations: Readonly<Record<string, string>> | undefined,
): { fqName: string; identity: string } | undefined {
  const fqName = annotations?.[annotation.remoteFqName];
  const identity = annotations?.[annotation.remoteGatewayIdentity];
  return fqName === undefined || identity === undefined ? undefined : { fqName, identity };
}

/** The endpoint in the proxy API's form. */
export function weightedAddr(endpoint: Endpoint): WeightedAddr {
  return create(WeightedAddrSchema, {
    addr: tcpAddress(endpoint.ip, endpoint.port),
    weight: WEIGHT,
    metricLabels: { ...endpoint.labels },
    ...(endpoint.identity === undefined ? {} : { tlsIdentity: tlsIdentity(endpoint.identity) }),
    protocolHint: protocolHint(endpoint),
    ...(endpoint.authority === undefined
      ? {}
      : { authorityOverride: { authorityOverride: endpoint.authority } }),
    ...(endpoint.pod === undefined
      ? {}
      : {
          resourceRef: {
            kind: { case: 'resource', value: { group: 'core', kind: 'Pod', ...endpoint.pod } },
          },
        }),
  });
}

function tlsIdentity(identity: EndpointIdentity): TlsIdentity {
  const { spiffeId: uri, dnsName } = identity;
  const serverName = dnsName === undefined ? {} : { serverName: { name: dnsName } };
  if (uri !== undefined) {
    return create(TlsIdentitySchema, {
      strategy: { case: 'uriLikeIdentity', value: { uri } },
      ...serverName,
    });
  }
  return create(TlsIdentitySchema, {
    strategy: { case: 'dnsLikeIdentity', value: { name: dnsName ?? '' } },
    ...serverName,
  });
}

function protocolHint(endpoint: Endpoint): ProtocolHint {
  const transport =
    endpoint.inboundPort === undefined ? {} : { opaqueTransport: { inboundPort: endpoint.inboundPort } };
  if (endpoint.opaque) {
    return create(ProtocolHintSchema, { protocol: { case: 'opaque', value: {} }, ...transport });
  }
  // A hint of h2 without a proxy at the other end would send HTTP/2 in clear to the app.
  return endpoint.inboundPort === undefined
    ? create(ProtocolHintSchema)
    : create(ProtocolHintSchema, { protocol: { case: 'h2', value: {} }, ...transport });
}
