import type { ProxyConfig } from './config.ts';
import { InboundPolicies } from './control/inbound-policies.ts';
import { Apps } from './inbound/apps.ts';
import { AppsByAddress } from './inbound/apps-by-address.ts';
import { AuthzMetrics } from './inbound/authorize.ts';
import { Inbound } from './inbound/inbound.ts';
import { MeshAcceptor } from './inbound/mesh-acceptor.ts';
import type { InFlight } from './in-flight.ts';
import { createInFlight, createPeers, createTargets } from './mesh-targets.ts';
import { Outbound } from './outbound/outbound.ts';
import type { Peers } from './outbound/peers.ts';
import type { TargetOptions } from './outbound/target.ts';
import type { Targets } from './outbound/targets.ts';
import { defaultPortPolicy } from './policy/inbound-policy.ts';
import type { Runtime } from './runtime.ts';
import type { Observers } from './telemetry/observers.ts';

/** Both sides of a sidecar, from what accepts connections to what makes them. */
export interface Sides {
  readonly inbound: Inbound;
  readonly inboundInFlight: InFlight;
  /** What peers' connections come to. */
  readonly acceptor: MeshAcceptor;
  readonly policies: InboundPolicies;
  readonly apps: AppsByAddress;
  readonly outbound: Outbound;
  readonly outboundInFlight: InFlight;
  readonly targets: readonly Targets[];
  readonly peers: Peers;
}

/** Puts the layers of both sides together. Nothing is listened on yet. */
export function createSides(runtime: Runtime, config: ProxyConfig, observers: Observers | undefined): Sides {
  return { ...outboundSide(runtime, config, observers), ...inboundSide(runtime, config, observers) };
}

function outboundSide(
  runtime: Runtime,
  { opaquePorts, ingress }: ProxyConfig,
  observers: Observers | undefined,
): Pick<Sides, 'outbound' | 'outboundInFlight' | 'targets' | 'peers'> {
  const peers = createPeers(runtime);
  const inFlight = createInFlight(runtime);
  const targetsWith = (beyond: TargetOptions['beyond']): Targets =>
    createTargets(runtime, peers, {
      beyond,
      inFlight,
      observer: (authority, endpoint) => observers?.outbound(authority, endpoint),
      opaquePorts,
      throughGateways: true,
    });
  const targets = targetsWith({ kind: 'dns', resolve: runtime.resolve });
  // What an ingress controller lets its clients write leads to Services, never out of the cluster.
  const overrides = ingress ? targetsWith({ kind: 'refuse' }) : undefined;
  const detectMs = runtime.config.times.outboundDetectMs;
  return {
    outbound: new Outbound({ ...runtime, targets, overrides, detectMs }),
    outboundInFlight: inFlight,
    targets: overrides === undefined ? [targets] : [targets, overrides],
    peers,
  };
}

function inboundSide(
  runtime: Runtime,
  config: ProxyConfig,
  observers: Observers | undefined,
): Pick<Sides, 'inbound' | 'inboundInFlight' | 'acceptor' | 'policies' | 'apps'> {
  const { ip } = config.pod;
  const policies = createPolicies(runtime, config);
  const ownApps = createApps(runtime, ip);
  const inFlight = createInFlight(runtime);
  const inbound = new Inbound({
    ...runtime,
    own: config.workload,
    podIp: ip,
    ports: config.ports,
    policies,
    apps: ownApps,
    authz: new AuthzMetrics(runtime.registry),
    inFlight,
    observers,
  });
  return {
    inbound,
    inboundInFlight: inFlight,
    acceptor: createAcceptor(runtime, inbound),
    policies,
    apps: new AppsByAddress(ip, ownApps, (address) => createApps(runtime, address)),
  };
}

function createPolicies(runtime: Runtime, config: ProxyConfig): InboundPolicies {
  const { clock, random, policy, control } = runtime;
  return new InboundPolicies({
    clock,
    random,
    channel: policy,
    workload: JSON.stringify({ ns: config.pod.namespace, pod: config.pod.name }),
    own: (of) => ({ opaque: config.opaquePorts.has(of), probes: config.probes.get(of) ?? [] }),
    fallback: (own) => defaultPortPolicy(config.defaultPolicy, config.clusterNetworks, own),
    metrics: control.cells('policy'),
  });
}

function createApps(runtime: Runtime, podIp: string): Apps {
  return new Apps({ ...runtime, podIp, connectMs: runtime.config.times.inboundConnectMs });
}

function createAcceptor(runtime: Runtime, inbound: Inbound): MeshAcceptor {
  const { times, limits } = runtime.config;
  return new MeshAcceptor({
    ...runtime,
    handshakeMs: times.handshakeMs,
    maxHandshakes: limits.maxHandshakes,
    isthmus: (client) => inbound.isthmus(client),
    linkerd: (client, header, transport, rest) => inbound.linkerd(client, header, transport, rest),
  });
}
