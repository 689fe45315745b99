import { DEFAULT_INBOUND_POLICIES, type DefaultInboundPolicy } from '../api/default-policies.ts';
import { LOG_LEVELS } from '../api/log-level.ts';
import {
  DEFAULT_CLUSTER_DOMAIN,
  DEFAULT_MESH_NAMESPACE,
  DEFAULT_OPAQUE_PORTS,
  DEFAULT_TRUST_DOMAIN,
  component,
  env as name,
  port,
  proxyEnv,
  telemetryEnv,
} from '../api/names.ts';
import type { WorkloadIdentityOptions, WorkloadNames } from '../workload-identity/index.ts';
import type { AccessLogConfig } from './access-log/access-log.ts';
import { LOG_FORMATS } from './access-log/log-line.ts';
import { EnvironmentReader } from './environment-reader.ts';
import type { AddressBlock } from './policy/address-block.ts';
import type { TraceConfig } from './trace/tracing.ts';

/** ms; Linkerd's times (reference: its 4.1), apart from the connect time, which here holds TLS as well. */
export const DEFAULT_TIMES = {
  inboundDetectMs: 10_000,
  outboundDetectMs: 10_000,
  inboundConnectMs: 2_000,
  outboundConnectMs: 2_000,
  handshakeMs: 10_000,
  failFastMs: 3_000,
  graceMs: 30_000,
} as const;

/** Limits of one process. */
export const DEFAULT_LIMITS = {
  /**
   * Requests under way in each direction. Linkerd's is 100,000; each holds some 10 KiB here, and up to 64 KiB of its
   * body, so this is the number at which a sidecar stays below a few hundred MiB.
   */
  maxInFlight: 10_000,
  /** Connections of each listener: each holds a descriptor and, with TLS, some 70 KiB. */
  maxConnections: 10_000,
  /**
   * TLS handshakes under way: each holds 25 KiB for a peer that has proved nothing. Peers that mean it are done in some
   * ms, so that as many at once are a restart of thousands, who come again.
   */
  maxHandshakes: 2_000,
} as const;

/** The limits of one process. */
export type Limits = { readonly [K in keyof typeof DEFAULT_LIMITS]: number };

/** The times of one process, ms. */
export type Times = { readonly [K in keyof typeof DEFAULT_TIMES]: number };

const MODES = ['explicit', 'redirect'] as const;

/** What a proxy and a gateway both are: a pod of the mesh. */
export interface MeshConfig {
  readonly pod: {
    readonly name: string;
    readonly namespace: string;
    readonly ip: string;
    readonly node: string;
  };
  readonly workload: WorkloadNames;
  /** How the process gets its identity; undefined where it is handed one. */
  readonly identity: Omit<WorkloadIdentityOptions, 'logger'> | undefined;
  readonly clusterDomain: string;
  readonly destinationAddress: string;
  readonly policyAddress: string;
  readonly logLevel: string;
  readonly times: Times;
  readonly limits: Limits;
  /** Undefined: there is none. */
  readonly accessLog: AccessLogConfig | undefined;
  /** Undefined: no spans are made; trace context is passed on all the same. */
  readonly traces: TraceConfig | undefined;
}

/** Where a sidecar listens. */
export interface ProxyPorts {
  readonly inbound: number;
  readonly outbound: number;
  readonly admin: number;
}

/** What a sidecar is told by its environment. */
export interface ProxyConfig extends MeshConfig {
  readonly ports: ProxyPorts;
  /** `POST /shutdown` from the pod itself ends the sidecar. */
  readonly adminShutdown: boolean;
  /** The app is an ingress controller: each request goes to the Service that its `l5d-dst-override` names. */
  readonly ingress: boolean;
  /** How apps reach the outbound side. `explicit`: they name their target (absolute form, CONNECT). */
  readonly mode: (typeof MODES)[number];
  readonly defaultPolicy: DefaultInboundPolicy;
  /** What the `cluster-…` policies mean by the cluster. */
  readonly clusterNetworks: readonly AddressBlock[];
  /** Is this port of the pod opaque? */
  readonly opaquePorts: ReadonlySet<number>;
  /** Ports that the pod's containers declare: their policies are asked for before the first connection. Others are asked for with their first. */
  readonly appPorts: ReadonlySet<number>;
  /** Paths that the kubelet asks the pod's apps for, by port. */
  readonly probes: ReadonlyMap<number, readonly string[]>;
}

/** Reads the environment of a sidecar. Throws `ConfigError` with everything that is wrong. */
export function proxyConfig(env: NodeJS.ProcessEnv): ProxyConfig {
  const read = new EnvironmentReader(env);
  const config: ProxyConfig = {
    ...meshConfig(read),
    mode: read.oneOf(proxyEnv.mode, MODES, 'explicit'),
    ports: {
      inbound: read.port(proxyEnv.inboundPort, port.inbound),
      outbound: read.port(proxyEnv.outboundPort, port.outbound),
      admin: read.port(proxyEnv.adminPort, port.admin),
    },
    ingress: read.oneOf(proxyEnv.ingress, FLAGS, 'false') === 'true',
    adminShutdown: read.oneOf(proxyEnv.adminShutdown, FLAGS, 'false') === 'true',
    defaultPolicy: read.oneOf(proxyEnv.defaultInboundPolicy, DEFAULT_INBOUND_POLICIES, 'all-unauthenticated'),
    clusterNetworks: read.blocks(proxyEnv.clusterNetworks, CLUSTER_NETWORKS),
    opaquePorts: read.ports(proxyEnv.opaquePorts, DEFAULT_OPAQUE_PORTS),
    appPorts: read.ports(proxyEnv.inboundPorts, []),
    probes: read.probes(proxyEnv.inboundProbes),
  };
  read.finish();
  return config;
}

/** Reads the environment of a gateway. Throws `ConfigError` with everything that is wrong. */
export function gatewayConfig(env: NodeJS.ProcessEnv): MeshConfig {
  const read = new EnvironmentReader(env);
  const config = meshConfig(read);
  read.finish();
  return config;
}

function meshConfig(read: EnvironmentReader): MeshConfig {
  const meshNamespace = read.text(name.meshNamespace, DEFAULT_MESH_NAMESPACE);
  const clusterDomain = read.text(name.clusterDomain, DEFAULT_CLUSTER_DOMAIN);
  const namespace = read.text(name.podNamespace);
  const service = (of: string, number: number): string =>
    `${of}.${meshNamespace}.svc.${clusterDomain}:${number}`;
  return {
    pod: {
      name: read.text(name.podName),
      namespace,
      ip: read.address(name.podIp),
      node: read.text(name.nodeName, ''),
    },
    workload: {
      serviceAccount: read.text(name.serviceAccount),
      namespace,
      meshNamespace,
      trustDomain: read.text(name.trustDomain, DEFAULT_TRUST_DOMAIN),
      clusterId: read.text(name.clusterName),
    },
    identity: read.identity(),
    clusterDomain,
    destinationAddress: read.hostPort(
      name.destinationAddress,
      service(component.destination, port.destination),
    ),
    policyAddress: read.hostPort(name.policyAddress, service(component.policy, port.policy)),
    logLevel: read.oneOf(name.logLevel, LOG_LEVELS, 'info'),
    limits: DEFAULT_LIMITS,
    accessLog: accessLogConfig(read),
    traces: traceConfig(read),
    times: {
      ...DEFAULT_TIMES,
      inboundDetectMs: read.millisecondsOrNone(proxyEnv.inboundDetectMs, DEFAULT_TIMES.inboundDetectMs),
      outboundDetectMs: read.millisecondsOrNone(proxyEnv.outboundDetectMs, DEFAULT_TIMES.outboundDetectMs),
      inboundConnectMs: read.milliseconds(proxyEnv.inboundConnectMs, DEFAULT_TIMES.inboundConnectMs),
      outboundConnectMs: read.milliseconds(proxyEnv.outboundConnectMs, DEFAULT_TIMES.outboundConnectMs),
      graceMs: read.seconds(proxyEnv.shutdownGraceSeconds, DEFAULT_TIMES.graceMs / 1_000) * 1_000,
    },
  };
}

function accessLogConfig(read: EnvironmentReader): AccessLogConfig | undefined {
  const format = read.oneOf(telemetryEnv.accessLog, [...LOG_FORMATS, 'none'], 'none');
  // Linkerd's proxy writes it there, apart from its own log: two writers would break each other's lines when the pipe is full.
  const file = read.text(telemetryEnv.accessLogFile, 'stderr');
  return format === 'none' ? undefined : { format, file };
}

/** Without a word about it: enough to see what goes wrong often, at a cost that nobody notices. */
const DEFAULT_SAMPLING = 0.01;

function traceConfig(read: EnvironmentReader): TraceConfig | undefined {
  if (read.text(telemetryEnv.traceCollector, '') === '') return undefined;
  return {
    collector: read.hostPort(telemetryEnv.traceCollector, ''),
    identity: read.serviceAccount(telemetryEnv.traceCollectorIdentity),
    sampling: read.share(telemetryEnv.traceSampling, DEFAULT_SAMPLING),
    serviceName: read.text(telemetryEnv.traceServiceName, read.text(name.serviceAccount)),
  };
}

const FLAGS = ['true', 'false'] as const;

/** Private and carrier ranges, as Linkerd's, and loopback, where the embedded cluster's pods live. */
const CLUSTER_NETWORKS = '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,fd00::/8';
