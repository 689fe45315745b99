import type { WorkloadIdentity } from '../workload-identity/index.ts';
import type { Admin } from './admin/admin.ts';
import { startPartAdmin } from './admin/part-admin.ts';
import type { ProxyConfig } from './config.ts';
import { cutRest, untilIdle } from './drain.ts';
import { startObserving, type Observing } from './observing.ts';
import { Readiness } from './readiness.ts';
import { CONNECT_AFTER_MS, createRuntime, type Runtime, type RuntimeOptions } from './runtime.ts';
import { listenOnSides, type Listeners } from './sidecar-listeners.ts';
import { createSides, type Sides } from './sides.ts';
import type { Registry } from './telemetry/registry.ts';
import type { Listener } from './transport/listen.ts';
import { Timer } from './transport/timers.ts';

/**
 * Of the grace of a drain, what the app's own connections get to end where others are still asking it by then: seconds
 * of half a minute are many requests.
 */
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
   * Stops accepting what comes to the app, lets it end, then stops accepting what the app sends; what is under way ends
   * within the grace, and all is closed. Resolves then.
   */
  drain(): Promise<void>;
}

/** Starts a sidecar: outbound and inbound listeners and the admin port. Rejects when a port cannot be bound. */
export async function startProxy(config: ProxyConfig, options: RuntimeOptions): Promise<Proxy> {
  const runtime = await createRuntime(config, options);
  const { log, identity } = runtime;
  const observing = startObserving(runtime);
  const sides = createSides(runtime, config, observing.observers);
  learnOwnPorts(runtime, config, sides);
  const listeners = await listenOnSides(runtime, config, sides);
  const readiness = new Readiness(identity);
  const admin = await startPartAdmin(runtime, options, {
    port: config.ports.admin,
    unready: readiness.unready,
    shutDown: config.adminShutdown ? options.shutDown : undefined,
  });
  log.info({ pod: config.pod.name, address: config.pod.ip }, 'proxy started');
  return new Sidecar({ runtime, sides, listeners, readiness, admin, observing });
}

/** Asks for the policies of the app's ports before the first connection needs them. */
function learnOwnPorts({ identity, timers }: Runtime, { appPorts }: ProxyConfig, { policies }: Sides): void {
  const learning = new Timer(() => policies.learn(appPorts));
  void identity.ready.then(() => timers.arm(learning, CONNECT_AFTER_MS));
}

/** What a sidecar is made of when it has started. */
interface SidecarParts {
  readonly runtime: Runtime;
  readonly sides: Sides;
  readonly listeners: Listeners;
  readonly readiness: Readiness;
  readonly admin: Admin;
  readonly observing: Observing;
}

class Sidecar implements Proxy {
  readonly registry: Registry;
  readonly identity: WorkloadIdentity;
  readonly certified: Promise<void>;
  readonly unready: () => string | undefined;
  readonly #parts: SidecarParts;

  constructor(parts: SidecarParts) {
    const { runtime, readiness } = parts;
    this.registry = runtime.registry;
    this.identity = runtime.identity;
    this.certified = runtime.identity.ready;
    this.unready = readiness.unready;
    this.#parts = parts;
  }

  get peerConnections(): number {
    return this.#parts.sides.peers.peerConnections;
  }

  get busy(): boolean {
    return total(left(this.#parts.sides)) > 0;
  }

  stopListening(): void {
    const { listeners, admin } = this.#parts;
    close(listeners.inbound);
    close(listeners.outbound);
    admin.close();
  }

  async drain(): Promise<void> {
    this.#parts.readiness.drain();
    await this.#letEnd();
    await this.#closeAll();
  }

  /**
   * Within the grace: the inbound side first, since an app that was told to end in the same moment asks others for what
   * it still answers.
   */
  async #letEnd(): Promise<void> {
    const { runtime, sides, listeners } = this.#parts;
    const { timers, log, config } = runtime;
    const { graceMs } = config.times;
    const end = timers.now() + graceMs;
    close(listeners.inbound);
    sides.acceptor.drain();
    sides.inbound.drain();
    await untilIdle(timers, () => asked(left(sides)) > 0, graceMs * (1 - OUTBOUND_SHARE));
    close(listeners.outbound);
    sides.outbound.drain();
    const clean = await untilIdle(timers, () => total(left(sides)) > 0, end - timers.now());
    if (clean) log.info({}, 'drained');
    else log.warn(left(sides), 'the grace is over: what is still under way is cut');
  }

  async #closeAll(): Promise<void> {
    const { runtime, sides, admin, observing } = this.#parts;
    sides.policies.stop();
    for (const targets of sides.targets) targets.close();
    sides.peers.destroy();
    sides.apps.destroy();
    await cutRest(runtime);
    admin.close();
    await observing.close();
    runtime.close();
  }
}

function close(listeners: readonly Listener[]): void {
  for (const listener of listeners) listener.close();
}

/** What a drain waits for. */
interface Left {
  readonly inboundRequests: number;
  readonly outboundRequests: number;
  readonly peers: number;
  readonly apps: number;
}

function left({ inboundInFlight, outboundInFlight, acceptor, outbound }: Sides): Left {
  return {
    inboundRequests: inboundInFlight.active,
    outboundRequests: outboundInFlight.active,
    peers: acceptor.connections,
    apps: outbound.open,
  };
}

/** What the app is asked by others. */
function asked({ inboundRequests, peers }: Left): number {
  return inboundRequests + peers;
}

function total(all: Left): number {
  return asked(all) + all.outboundRequests + all.apps;
}
