import { collectDefaultMetrics, Registry } from 'prom-client';
import { createDestinationServices, type DestinationServices } from '../destination/index.ts';
import { createIdentityServices, type IdentityServices } from '../identity/index.ts';
import { type Injector, startInjector } from '../injector/index.ts';
import { backoffMs, sleep, systemClock } from '../kubernetes/clock.ts';
import { type AdminServer, startAdmin } from '../kubernetes/http-admin.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { descriptorLimit } from '../log/index.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import type { ControlPlaneSettings } from './environment.ts';
import { createOwnIdentity } from './own-identity.ts';
import { Places, SERVED, type Served } from './places.ts';
import type { RpcServer } from './rpc-server.ts';
import { createServers, type Servers } from './services.ts';
import { makeServingCertificate } from './serving-certificate.ts';

/** Milliseconds that requests under way get once the process stops; each takes a few. Streams are ended at once. */
const DRAIN_MS = 1_000;
/** An address that another process holds is tried again. */
const LISTEN_RETRY = { initialMs: 100, maxMs: 5_000 };

export interface ControlPlane {
  /** What is listened on; undefined until then. */
  readonly ports: {
    admin: number;
    identity?: number;
    destination?: number;
    policy?: number;
    injector?: number;
  };
  /** Why the control plane is not ready; undefined when it is. */
  notReady(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Starts identity, destination and injector. Returns once the admin port answers; the others are listened on when there is something to serve.
 * What fails is tried again for as long as it takes, and is told by `/ready`. Rejects only when the admin address can't be bound.
 */
export async function startControlPlane(deps: {
  settings: ControlPlaneSettings;
  client: KubernetesClient;
  log: Log;
}): Promise<ControlPlane> {
  const { settings, client, log } = deps;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { clusterName: clusterId, trustDomain, meshNamespace } = settings.destination;
  const identityServices = await createIdentityServices({
    client,
    settings: { clusterId, trustDomain, meshNamespace },
    replica: settings.podName,
    registry,
    logger: log,
  });
  const running = new RunningControlPlane({
    settings,
    log,
    places: new Places({ descriptors: descriptorLimit(), registry, clock: systemClock, log }),
    identityServices,
    destination: createDestinationServices({
      client,
      settings: settings.destination,
      registry,
      podName: settings.podName,
      logger: log,
    }),
    identity: createOwnIdentity(settings, identityServices, registry, log),
    injector: startInjector({
      client,
      host: settings.podIp,
      port: settings.ports.injector,
      podName: settings.podName,
      context: settings.injection,
      adoptLinkerd: settings.adoptLinkerd,
      makeCertificate: makeServingCertificate,
      registry,
      log,
    }),
  });
  await running.start(registry);
  return running;
}

interface Parts {
  settings: ControlPlaneSettings;
  log: Log;
  places: Places;
  identityServices: IdentityServices;
  destination: DestinationServices;
  identity: WorkloadIdentity;
  injector: Injector;
}

class RunningControlPlane implements ControlPlane {
  readonly #parts: Parts;
  readonly #servers: Servers;
  readonly #listening: Partial<Record<Served, number>> = {};
  readonly #stopping = new AbortController();
  #admin: AdminServer | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#servers = createServers(parts.identityServices, parts.destination, parts.places, parts.log);
  }

  get ports() {
    const injector = this.#parts.injector.port;
    return {
      admin: this.#admin?.port ?? 0,
      ...this.#listening,
      ...(injector === undefined ? {} : { injector }),
    };
  }

  async start(registry: Registry): Promise<void> {
    const { settings, identity, destination } = this.#parts;
    this.#admin = await startAdmin({
      host: settings.podIp,
      port: settings.ports.admin,
      registry,
      ready: () => this.notReady(),
    });
    // Answers from half a picture would tell proxies that Services are gone.
    void this.#listen('identity', this.#servers.identity, identity.ready);
    const serving = Promise.all([identity.ready, destination.synced]);
    void this.#listen('destination', this.#servers.destination, serving);
    void this.#listen('policy', this.#servers.policy, serving);
  }

  notReady(): string | undefined {
    const { identityServices, destination, identity, injector } = this.#parts;
    if (this.#stopping.signal.aborted) return 'the control plane is stopping';
    const issuer = identityServices.notReady();
    if (issuer !== undefined) return issuer;
    if (identity.state.kind !== 'certified') return 'the control plane has no certificate of its own yet';
    if (!destination.hasSynced) return 'the cluster is not read yet';
    const closed = SERVED.find((name) => this.#listening[name] === undefined);
    return closed === undefined ? injector.notReady() : `the ${closed} port is not open yet`;
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    const { identity, identityServices, destination, injector } = this.#parts;
    await Promise.all(SERVED.map((name) => this.#servers[name].close(DRAIN_MS)));
    identity.stop();
    await Promise.all([injector.stop(), destination.stop(), identityServices.stop()]);
    await this.#admin?.close();
  }

  async #listen(name: Served, server: RpcServer, ready: Promise<unknown>): Promise<void> {
    const { settings, identity, log } = this.#parts;
    await ready;
    for (let attempt = 1; !this.#stopping.signal.aborted; attempt += 1) {
      try {
        this.#listening[name] = await server.listen(settings.podIp, settings.ports[name], identity);
        log.info({ service: name, port: this.#listening[name] }, 'serving');
        return;
      } catch (error) {
        log.error({ service: name, error: errorMessage(error) }, 'listening failed; it will be tried again');
        await sleep(systemClock, backoffMs(attempt, LISTEN_RETRY, Math.random), this.#stopping.signal);
      }
    }
  }
}
