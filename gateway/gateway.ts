import { port } from '../api/names.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import {
  createPeers,
  createRuntime,
  discoveryOptions,
  InFlight,
  listening,
  listenOn,
  outboundPolicyOptions,
  adminHost,
  startAdmin,
  startObserving,
  Targets,
  cutRest,
  untilIdle,
  type MeshConfig,
  type Observers,
  type Peers,
  type ProxyPorts,
  type Registry,
  type Runtime,
  type RuntimeOptions,
} from '../proxy/index.ts';
import { Door } from './door.ts';
import { ExportWatch } from './exports.ts';

/** A running gateway. */
export interface Gateway {
  readonly registry: Registry;
  readonly identity: WorkloadIdentity;
  /** The first certificate is there. */
  readonly certified: Promise<void>;
  /** The control plane has told what is exported. Pending for ever where it never does. */
  readonly told: Promise<void>;
  /** Somebody has asked for a service: a probe is no work. */
  readonly busy: boolean;
  /** Why it is not ready; undefined: it is. */
  unready(): string | undefined;
  /** Takes no more connections, at its admin port neither. What is open goes on. */
  stopListening(): void;
  /** Stops accepting, lets what is under way end within the grace, and closes. Resolves when all is closed. */
  drain(): Promise<void>;
}

/** Where a gateway listens. */
export type GatewayPorts = Pick<ProxyPorts, 'inbound' | 'admin'>;

/** Starts a gateway: its listener for other clusters and the admin port. Rejects when a port cannot be bound. */
export async function startGateway(
  config: MeshConfig,
  options: RuntimeOptions,
  ports: GatewayPorts = port,
): Promise<Gateway> {
  const runtime = await createRuntime(config, options);
  const { ip } = config.pod;
  const exports = new ExportWatch(runtime);
  const peers = createPeers(runtime);
  const observing = startObserving(runtime);
  const targets = createTargets(runtime, peers, observing.observers);
  let draining = false;
  const unready = (): string | undefined => {
    if (draining) return 'draining';
    if (runtime.identity.state.kind !== 'certified') return 'the identity is not certified';
    return exports.known ? undefined : 'the control plane has not told what is exported';
  };
  const door = new Door(runtime, targets, exports, observing.observers, unready);
  const listener = await listenOn(
    ip,
    ports.inbound,
    (accepted, place) => door.acceptor.accept(accepted, place),
    listening(runtime),
  );
  const admin = await startAdmin({
    host: adminHost(ip),
    port: ports.admin,
    registry: runtime.registry,
    unready,
    env: process.env,
    wrap: runtime.wrap,
    timers: runtime.timers,
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  });
  runtime.log.info({ pod: config.pod.name, address: ip }, 'gateway started');
  return {
    registry: runtime.registry,
    identity: runtime.identity,
    certified: runtime.identity.ready,
    told: exports.told,
    get busy() {
      return targets.size > 0;
    },
    unready,
    stopListening() {
      listener.close();
      admin.close();
    },
    async drain() {
      draining = true;
      listener.close();
      door.drain();
      const busy = (): boolean => targets.active + door.acceptor.connections > 0;
      const clean = await untilIdle(runtime.timers, busy, config.times.graceMs);
      if (clean) runtime.log.info({}, 'drained');
      else runtime.log.warn({ active: targets.active }, 'the grace is over: what is still under way is cut');
      exports.stop();
      targets.close();
      peers.destroy();
      await cutRest(runtime);
      admin.close();
      await observing.close();
      runtime.close();
    },
  };
}

/** Only what the own cluster runs: a name that is no Service leads nowhere, and an endpoint in a third cluster is refused (508). */
function createTargets(runtime: Runtime, peers: Peers, observers: Observers | undefined): Targets {
  return new Targets({
    ...runtime,
    peers,
    discovery: discoveryOptions(runtime),
    policy: outboundPolicyOptions(runtime),
    inFlight: new InFlight(runtime.config.limits.maxInFlight),
    failFastMs: runtime.config.times.failFastMs,
    beyond: { kind: 'refuse' },
    opaquePorts: new Set(),
    observer: (authority, endpoint) => observers?.gateway(authority, endpoint),
    throughGateways: false,
  });
}
