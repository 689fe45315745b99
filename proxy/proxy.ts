import type { Logger, WorkloadIdentity } from '../workload-identity/index.ts';
import { adminHost, startAdmin } from './admin/admin.ts';
import type { ProxyConfig } from './config.ts';
import { InboundPolicies } from './control/inbound-policies.ts';
import { Apps } from './inbound/apps.ts';
import { AuthzMetrics } from './inbound/authorize.ts';
import { InFlight } from './in-flight.ts';
import { Inbound } from './inbound/inbound.ts';
import { MeshAcceptor } from './inbound/mesh-acceptor.ts';
import { RedirectedAcceptor } from './inbound/redirected-acceptor.ts';
import { startObserving } from './observing.ts';
import { Outbound } from './outbound/outbound.ts';
import { Peers } from './outbound/peers.ts';
import type { TargetOptions } from './outbound/target.ts';
import { Targets } from './outbound/targets.ts';
import { defaultPortPolicy } from './policy/inbound-policy.ts';
import {
  acceptOutbound,
  AppsByAddress,
  listenRedirected,
  originalDestinationOrLess,
  type Listeners,
} from './redirect-mode.ts';
import {
  CONNECT_AFTER_MS,
  listening,
  createRuntime,
  listenOn,
  cutRest,
  untilIdle,
  type Runtime,
  type RuntimeOptions,
} from './runtime.ts';
import type { Observers } from './telemetry/observers.ts';
import type { Registry } from './telemetry/registry.ts';
import type { Listener } from './transport/listen.ts';
import type { Connection } from './transport/tcp-connection.ts';
import { Timer } from './transport/timers.ts';

/** Of the grace of a drain, what the app's own connections get to end where others are still asking it by then: seconds of half a minute are many requests. */
const OUTBOUND_SHARE = 0.1;

/** A running sidecar. */
export interface Proxy {
  readonly registry: Registry;
  readonly identity: WorkloadIdentity;
  /** The first certificate is there. */
  readonly certified: Promise<void>;
  /** Mutual TLS connections to peers that stand. */
  readonly peerConnections: number;
  /** Somebody is connected, or a request is under way. */
  readonly busy: boolean;
  /** Why it is not ready; undefined: it is. */
  unready(): string | undefined;
  /** Takes no more connections, at its admin port neither. What is open goes on. */
  stopListening(): void;
  /**
   * Stops accepting what comes to the app, lets it end, then stops accepting what the app sends; what is under way ends within the grace, and all is closed. Resolves then.
   */
  drain(): Promise<void>;
}

/** Starts a sidecar: outbound and inbound listeners and the admin port. Rejects when a port cannot be bound. */
export async function startProxy(config: ProxyConfig, options: RuntimeOptions): Promise<Proxy> {
  const runtime = await createRuntime(config, options);
  const { ip } = config.pod;
  const peers = createPeers(runtime);
  const observing = startObserving(runtime);
  const { observers } = observing;
  const outboundInFlight = new InFlight(config.limits.maxInFlight);
  const targetsBeyond = (beyond: TargetOptions['beyond']): Targets =>
    createTargets(runtime, peers, config, observers, outboundInFlight, beyond);
  const targets = targetsBeyond({ kind: 'dns', resolve: runtime.resolve });
  // What an ingress controller lets its clients write leads to Services, never out of the cluster.
  const overrides = config.ingress ? targetsBeyond({ kind: 'refuse' }) : undefined;
  const outbound = createOutbound(runtime, targets, overrides);
  const policies = createPolicies(runtime, config);
  const learning = new Timer(() => policies.learn(config.appPorts));
  void runtime.identity.ready.then(() => runtime.timers.arm(learning, CONNECT_AFTER_MS));
  const ownApps = createApps(runtime, ip);
  const apps = new AppsByAddress(ip, ownApps, (address) => createApps(runtime, address));
  const inFlight = new InFlight(config.limits.maxInFlight);
  const inbound = createInbound(runtime, config, policies, ownApps, inFlight, observers);
  const acceptor = createAcceptor(runtime, inbound);
  const sides: Sides = { outbound, inbound, acceptor, apps, policies };
  const listeners = await (config.mode === 'redirect'
    ? redirected(runtime, config, sides)
    : explicit(runtime, config, sides));
  let draining = false;
  const unready = (): string | undefined => {
    if (draining) return 'draining';
    return runtime.identity.state.kind === 'certified' ? undefined : 'the identity is not certified';
  };
  const admin = await startAdmin({
    host: adminHost(ip),
    port: config.ports.admin,
    registry: runtime.registry,
    unready,
    env: process.env,
    wrap: runtime.wrap,
    timers: runtime.timers,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
    ...(config.adminShutdown && options.shutDown !== undefined ? { shutDown: options.shutDown } : {}),
  });
  runtime.log.info({ pod: config.pod.name, address: ip }, 'proxy started');
  const left = (): Left => ({
    inboundRequests: inFlight.active,
    outboundRequests: outboundInFlight.active,
    peers: acceptor.connections,
    apps: outbound.open,
  });
  return {
    registry: runtime.registry,
    identity: runtime.identity,
    certified: runtime.identity.ready,
    get busy() {
      return total(left()) > 0;
    },
    get peerConnections() {
      return peers.peerConnections;
    },
    unready,
    stopListening() {
      close(listeners.inbound);
      close(listeners.outbound);
      admin.close();
    },
    async drain() {
      draining = true;
      const { timers } = runtime;
      const { graceMs } = config.times;
      const end = timers.now() + graceMs;
      close(listeners.inbound);
      acceptor.drain();
      inbound.drain();
      // An app that was told to end in the same moment asks others for what it still answers.
      await untilIdle(timers, () => asked(left()) > 0, graceMs * (1 - OUTBOUND_SHARE));
      close(listeners.outbound);
      outbound.drain();
      const clean = await untilIdle(timers, () => total(left()) > 0, end - timers.now());
      tellEnd(runtime.log, clean, left());
      policies.stop();
      targets.close();
      overrides?.close();
      peers.destroy();
      apps.destroy();
      await cutRest(runtime);
      admin.close();
      await observing.close();
      runtime.close();
    },
  };
}

function close(listeners: readonly Listener[]): void {
  for (const listener of listeners) listener.close();
}

/** Both sides of a sidecar, as its listeners need them. */
interface Sides {
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly acceptor: MeshAcceptor;
  readonly apps: AppsByAddress;
  readonly policies: InboundPolicies;
}

/** Apps and peers come to the pod's address. */
async function explicit(
  runtime: Runtime,
  config: ProxyConfig,
  { outbound, acceptor }: Sides,
): Promise<Listeners> {
  const { pod, ports } = config;
  const by = listening(runtime);
  return {
    outbound: [await listenOn(pod.ip, ports.outbound, (accepted) => outbound.accept(accepted), by)],
    inbound: [await listenOn(pod.ip, ports.inbound, (accepted) => acceptor.accept(accepted), by)],
  };
}

/** The pod's rules turn all connections to us. */
async function redirected(runtime: Runtime, config: ProxyConfig, sides: Sides): Promise<Listeners> {
  const { log } = runtime;
  const { outbound, acceptor, apps } = sides;
  const original = await originalDestinationOrLess(log);
  const direct = (accepted: Connection): void => acceptor.accept(accepted);
  const redirectedAcceptor =
    original === undefined
      ? undefined
      : new RedirectedAcceptor({
          ...runtime,
          ...sides,
          original,
          direct,
          appsAt: (address) => apps.at(address),
          own: config.workload,
          ports: config.ports,
          detectMs: config.times.inboundDetectMs,
          handshakeMs: config.times.handshakeMs,
        });
  const accept = (accepted: Connection): void =>
    redirectedAcceptor === undefined ? direct(accepted) : redirectedAcceptor.accept(accepted);
  const by = listening(runtime);
  return listenRedirected(log, config.ports, acceptOutbound(outbound, original), accept, by);
}

/** Connections to other pods, shared by all targets. */
export function createPeers(runtime: Runtime): Peers {
  const { config } = runtime;
  return new Peers({ ...runtime, localAddress: config.pod.ip, connectMs: config.times.outboundConnectMs });
}

function createTargets(
  runtime: Runtime,
  peers: Peers,
  { opaquePorts }: ProxyConfig,
  observers: Observers | undefined,
  inFlight: InFlight,
  beyond: TargetOptions['beyond'],
): Targets {
  return new Targets({
    ...runtime,
    peers,
    discovery: discoveryOptions(runtime),
    policy: outboundPolicyOptions(runtime),
    inFlight,
    failFastMs: runtime.config.times.failFastMs,
    beyond,
    opaquePorts,
    observer: (authority, endpoint) => observers?.outbound(authority, endpoint),
    throughGateways: true,
  });
}

/** How names are asked for. */
export function discoveryOptions(runtime: Runtime) {
  const { clock, random, contextToken, destination, control } = runtime;
  return {
    clock,
    random,
    contextToken,
    channel: destination,
    metrics: control.cells('destination'),
  };
}

/** How their policies are. */
export function outboundPolicyOptions(runtime: Runtime) {
  const { clock, random, contextToken, policy, control } = runtime;
  return { clock, random, contextToken, channel: policy, metrics: control.cells('policy') };
}

function createOutbound(runtime: Runtime, targets: Targets, overrides: Targets | undefined): Outbound {
  return new Outbound({ ...runtime, targets, overrides, detectMs: runtime.config.times.outboundDetectMs });
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

function createInbound(
  runtime: Runtime,
  config: ProxyConfig,
  policies: InboundPolicies,
  apps: Apps,
  inFlight: InFlight,
  observers: Observers | undefined,
): Inbound {
  const { registry } = runtime;
  const authz = new AuthzMetrics(registry);
  return new Inbound({
    ...runtime,
    own: config.workload,
    podIp: config.pod.ip,
    ports: config.ports,
    policies,
    apps,
    authz,
    inFlight,
    observers,
  });
}

function createAcceptor(runtime: Runtime, inbound: Inbound): MeshAcceptor {
  return new MeshAcceptor({
    ...runtime,
    handshakeMs: runtime.config.times.handshakeMs,
    maxHandshakes: runtime.config.limits.maxHandshakes,
    isthmus: (client) => inbound.isthmus(client),
    linkerd: (client, header, transport, rest) => inbound.linkerd(client, header, transport, rest),
  });
}

/** What a drain waits for. */
interface Left {
  readonly inboundRequests: number;
  readonly outboundRequests: number;
  readonly peers: number;
  readonly apps: number;
}

/** What the app is asked by others. */
function asked({ inboundRequests, peers }: Left): number {
  return inboundRequests + peers;
}

function total(left: Left): number {
  return asked(left) + left.outboundRequests + left.apps;
}

function tellEnd(log: Logger, clean: boolean, left: Left): void {
  if (clean) log.info({}, 'drained');
  else log.warn(left, 'the grace is over: what is still under way is cut');
}
