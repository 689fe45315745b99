import { port } from '../api/names.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import {
  createInFlight,
  createPeers,
  createRuntime,
  createTargets,
  cutRest,
  listening,
  listenOn,
  Readiness,
  startObserving,
  startPartAdmin,
  untilIdle,
  type Admin,
  type Listener,
  type MeshConfig,
  type Observers,
  type Observing,
  type Peers,
  type ProxyPorts,
  type Registry,
  type Runtime,
  type RuntimeOptions,
  type Targets,
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
  const exports = new ExportWatch(runtime);
  const peers = createPeers(runtime);
  const observing = startObserving(runtime);
  const targets = createOwnTargets(runtime, peers, observing.observers);
  const readiness = new Readiness(runtime.identity, () =>
    exports.known ? undefined : 'the control plane has not told what is exported',
  );
  const { unready } = readiness;
  const door = new Door(runtime, targets, exports, observing.observers, unready);
  const listener = await listenOn(
    config.pod.ip,
    ports.inbound,
    (accepted, place) => door.acceptor.accept(accepted, place),
    listening(runtime),
  );
  const admin = await startPartAdmin(runtime, options, { port: ports.admin, unready });
  runtime.log.info({ pod: config.pod.name, address: config.pod.ip }, 'gateway started');
  return new RunningGateway({
    runtime,
    exports,
    peers,
    observing,
    targets,
    readiness,
    door,
    listener,
    admin,
  });
}

/** Only what the own cluster runs: a name that is no Service leads nowhere, and an endpoint in a third cluster is refused (508). */
function createOwnTargets(runtime: Runtime, peers: Peers, observers: Observers | undefined): Targets {
  return createTargets(runtime, peers, {
    beyond: { kind: 'refuse' },
    inFlight: createInFlight(runtime),
    observer: (authority, endpoint) => observers?.gateway(authority, endpoint),
    opaquePorts: new Set(),
    throughGateways: false,
  });
}

/** What a gateway is made of when it has started. */
interface GatewayParts {
  readonly runtime: Runtime;
  readonly exports: ExportWatch;
  readonly peers: Peers;
  readonly observing: Observing;
  readonly targets: Targets;
  readonly readiness: Readiness;
  readonly door: Door;
  readonly listener: Listener;
  readonly admin: Admin;
}

class RunningGateway implements Gateway {
  readonly registry: Registry;
  readonly identity: WorkloadIdentity;
  readonly certified: Promise<void>;
  readonly told: Promise<void>;
  readonly unready: () => string | undefined;
  readonly #parts: GatewayParts;

  constructor(parts: GatewayParts) {
    const { runtime, exports, readiness } = parts;
    this.registry = runtime.registry;
    this.identity = runtime.identity;
    this.certified = runtime.identity.ready;
    this.told = exports.told;
    this.unready = readiness.unready;
    this.#parts = parts;
  }

  get busy(): boolean {
    return this.#parts.targets.size > 0;
  }

  stopListening(): void {
    this.#parts.listener.close();
    this.#parts.admin.close();
  }

  async drain(): Promise<void> {
    this.#parts.readiness.drain();
    await this.#letEnd();
    await this.#closeAll();
  }

  /** Within the grace. */
  async #letEnd(): Promise<void> {
    const { runtime, listener, door, targets } = this.#parts;
    const { timers, log, config } = runtime;
    listener.close();
    door.drain();
    const busy = (): boolean => targets.active + door.acceptor.connections > 0;
    const clean = await untilIdle(timers, busy, config.times.graceMs);
    if (clean) log.info({}, 'drained');
    else log.warn({ active: targets.active }, 'the grace is over: what is still under way is cut');
  }

  async #closeAll(): Promise<void> {
    const { runtime, exports, targets, peers, admin, observing } = this.#parts;
    exports.stop();
    targets.close();
    peers.destroy();
    await cutRest(runtime);
    admin.close();
    await observing.close();
    runtime.close();
  }
}
