import { checkNetworks, DEFAULT_CLUSTER_NETWORKS } from '../api/cluster-networks.ts';
import { DEFAULT_INBOUND_POLICIES, isDefaultInboundPolicy } from '../api/default-policies.ts';
import {
  controlPlaneEnv as own,
  DEFAULT_CLUSTER_DOMAIN,
  DEFAULT_MESH_NAMESPACE,
  DEFAULT_OPAQUE_PORTS,
  DEFAULT_TRUST_DOMAIN,
  env as names,
  IMAGE,
  path,
  port,
  proxyEnv,
  telemetryEnv,
} from '../api/names.ts';
import type { DestinationSettings } from '../destination/index.ts';
import type { InjectionContext, ProxyMode, Quantities, SidecarTelemetry } from '../injector/index.ts';
import { errorMessage } from '../kubernetes/log.ts';

/** Where a container's volumes lie when it has no mount namespace of its own (the embedded cluster); unset on Kubernetes. */
const VOLUME_ROOT = 'ISTHMUS_VOLUME_ROOT';

export interface ControlPlaneSettings {
  podName: string;
  /** Address that all servers bind. */
  podIp: string;
  ports: { identity: number; destination: number; policy: number; injector: number; admin: number };
  anchorsFile: string;
  logLevel: string;
  destination: DestinationSettings;
  injection: Omit<InjectionContext, 'ignoreLinkerdAnnotation'>;
  adoptLinkerd: boolean;
}

/** A variable that is missing or can't be read. */
export class EnvironmentError extends Error {
  constructor(variable: string, problem: string) {
    super(`${variable} ${problem}`);
    this.name = 'EnvironmentError';
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The control plane's settings. Throws EnvironmentError, naming the variable and what it must be. */
export function settingsFromEnvironment(environment: Environment): ControlPlaneSettings {
  const optional = (name: string, fallback: string): string => {
    const value = environment[name];
    return value === undefined || value === '' ? fallback : value;
  };
  const destination: DestinationSettings = {
    clusterName: required(environment, names.clusterName, "this cluster's id, as given at the install"),
    clusterDomain: optional(names.clusterDomain, DEFAULT_CLUSTER_DOMAIN),
    trustDomain: optional(names.trustDomain, DEFAULT_TRUST_DOMAIN),
    meshNamespace: optional(names.meshNamespace, DEFAULT_MESH_NAMESPACE),
    defaultInboundPolicy: inboundPolicy(optional(own.defaultInboundPolicy, 'all-unauthenticated')),
    opaquePorts: ports(optional(own.opaquePorts, DEFAULT_OPAQUE_PORTS.join(','))),
    clusterNetworks: networks(optional(own.clusterNetworks, DEFAULT_CLUSTER_NETWORKS.join(','))),
  };
  return {
    podName: required(environment, names.podName, "the pod's name (downward API)"),
    podIp: required(environment, names.podIp, "the pod's address (downward API)"),
    ports: {
      identity: port.identity,
      destination: port.destination,
      policy: port.policy,
      injector: port.injector,
      admin: port.controlPlaneAdmin,
    },
    anchorsFile: optional(names.trustAnchorsFile, `${environment[VOLUME_ROOT] ?? ''}${path.trustRoots}`),
    logLevel: optional(names.logLevel, 'info'),
    destination,
    injection: {
      ...destination,
      image: optional(own.proxyImage, IMAGE),
      imagePullPolicy: optional(own.proxyImagePullPolicy, 'IfNotPresent'),
      proxyMode: proxyMode(optional(proxyEnv.mode, 'explicit')),
      logLevel: optional(own.proxyLogLevel, 'info'),
      telemetry: sidecarTelemetry(environment),
      resources: sidecarResources(environment),
    },
    adoptLinkerd: environment[own.adoptLinkerd] === 'true',
  };
}

function sidecarTelemetry(environment: Environment): SidecarTelemetry {
  const names = {
    accessLog: telemetryEnv.accessLog,
    traceCollector: telemetryEnv.traceCollector,
    traceCollectorIdentity: telemetryEnv.traceCollectorIdentity,
    traceSampling: telemetryEnv.traceSampling,
  };
  return given(environment, names);
}

function sidecarResources(environment: Environment): Quantities {
  const names = {
    cpuRequest: own.proxyCpuRequest,
    cpuLimit: own.proxyCpuLimit,
    memoryRequest: own.proxyMemoryRequest,
    memoryLimit: own.proxyMemoryLimit,
  };
  return given(environment, names);
}

/** What is set, by key. */
function given<K extends string>(
  environment: Environment,
  names: Readonly<Record<K, string>>,
): { [P in K]?: string } {
  const all = Object.entries<string>(names).map(([key, name]) => [key, environment[name] ?? ''] as const);
  return Object.fromEntries(all.filter(([, value]) => value !== '')) as { [P in K]?: string };
}

function required(environment: Environment, name: string, meaning: string): string {
  const value = environment[name];
  if (value === undefined || value === '')
    throw new EnvironmentError(name, `is not set: it must be ${meaning}`);
  return value;
}

function inboundPolicy(text: string) {
  if (isDefaultInboundPolicy(text)) return text;
  throw new EnvironmentError(
    own.defaultInboundPolicy,
    `is ${JSON.stringify(text)}: it must be one of ${DEFAULT_INBOUND_POLICIES.join(', ')}`,
  );
}

/** `transparent` is what the install calls it. */
function proxyMode(text: string): ProxyMode {
  if (text === 'explicit') return 'explicit';
  if (text === 'transparent' || text === 'redirect') return 'redirect';
  throw new EnvironmentError(proxyEnv.mode, `is ${JSON.stringify(text)}: it must be explicit or redirect`);
}

function ports(text: string): number[] {
  return words(text).map((word) => {
    const number = Number(word);
    if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
    throw new EnvironmentError(own.opaquePorts, `has ${JSON.stringify(word)}: it must be a list of ports`);
  });
}

function networks(text: string): string[] {
  const cidrs = words(text);
  try {
    checkNetworks(cidrs);
  } catch (error) {
    throw new EnvironmentError(own.clusterNetworks, `can not be used: ${errorMessage(error)}`);
  }
  return cidrs;
}

function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
