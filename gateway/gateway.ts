import { port } from '../api/names.ts';
import {
  addField,
  AuthzMetrics,
  causes,
  checkOpaque,
  connectionLimit,
  createPeers,
  createRuntime,
  discoveryOptions,
  FieldId,
  InFlight,
  listenOn,
  outboundPolicyOptions,
  MeshAcceptor,
  OrigProtoServer,
  refuse,
  serveConnection,
  soleValue,
  startAdmin,
  Targets,
  untilIdle,
  type Cause,
  type Exchange,
  type Head,
  type MeshClient,
  type MeshConfig,
  type Peers,
  type Registry,
  type RequestSink,
  type Runtime,
  type RuntimeOptions,
  type Transport,
  type TransportHeader,
} from '../proxy/index.ts';
import { admit, isLoop, readTarget } from './admission.ts';
import { Asked } from './asked.ts';
import { ExportWatch } from './exports.ts';
import { Probe } from './probe.ts';

/** A running gateway. */
export interface Gateway {
  readonly registry: Registry;
  /** Why it is not ready; undefined: it is. */
  unready(): string | undefined;
  /** Stops accepting, lets what is under way end within the grace, and closes. Resolves when all is closed. */
  drain(): Promise<void>;
}

/** Starts a gateway: its listener for other clusters and the admin port. Rejects when a port cannot be bound. */
export async function startGateway(config: MeshConfig, options: RuntimeOptions): Promise<Gateway> {
  const runtime = await createRuntime(config, options);
  const { ip } = config.pod;
  const exports = new ExportWatch(runtime);
  const peers = createPeers(runtime);
  const targets = createTargets(runtime, peers);
  let draining = false;
  const unready = (): string | undefined => {
    if (draining) return 'draining';
    if (runtime.identity.state.kind !== 'certified') return 'the identity is not certified';
    return exports.known ? undefined : 'the control plane has not told what is exported';
  };
  const door = new Door(runtime, targets, exports, unready);
  const listener = await listenOn(
    ip,
    port.inbound,
    (socket) => door.acceptor.accept(socket),
    connectionLimit(runtime),
  );
  const admin = await startAdmin({
    host: ip,
    port: port.admin,
    registry: runtime.registry,
    unready,
    env: process.env,
  });
  runtime.log.info({ pod: config.pod.name, address: ip }, 'gateway started');
  return {
    registry: runtime.registry,
    unready,
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
      runtime.tracker.destroyAll();
      admin.close();
      runtime.close();
    },
  };
}

/** Only what the own cluster runs: a name that is no Service leads nowhere, and an endpoint in a third cluster is refused (508). */
function createTargets(runtime: Runtime, peers: Peers): Targets {
  return new Targets({
    ...runtime,
    peers,
    discovery: discoveryOptions(runtime),
    policy: outboundPolicyOptions(runtime),
    inFlight: new InFlight(runtime.config.limits.maxInFlight),
    failFastMs: runtime.config.times.failFastMs,
    beyond: { kind: 'refuse' },
    opaquePorts: new Set(),
    throughGateways: false,
  });
}

/**
 * The door between clusters. The way of a request, outermost first:
 *
 *   accept mTLS       `MeshAcceptor`: a client without a certificate of the mesh never comes further
 *   read the target   `:isthmus-target`, or the transport header's name
 *   authorise         `admission.ts`, per exported service
 *   forwarded         who asked through which gateway, in place of what the client wrote
 *   outbound layers   `proxy/outbound/target.ts`, within the own cluster
 */
class Door {
  readonly acceptor: MeshAcceptor;
  readonly #runtime: Runtime;
  readonly #targets: Targets;
  readonly #exports: ExportWatch;
  readonly #probe: Probe;
  readonly #authz: AuthzMetrics;
  readonly #open = new Set<{ drain(): void }>();

  constructor(runtime: Runtime, targets: Targets, exports: ExportWatch, unready: () => string | undefined) {
    this.#runtime = runtime;
    this.#targets = targets;
    this.#exports = exports;
    this.#probe = new Probe(unready);
    this.#authz = new AuthzMetrics(runtime.registry);
    this.acceptor = new MeshAcceptor({
      ...runtime,
      handshakeMs: runtime.config.times.handshakeMs,
      isthmus: (client) => {
        const asked = this.#asked(client);
        return (x, head) => this.#route(client, asked, x, head);
      },
      linkerd: (client, header, transport, rest) => this.#linkerd(client, header, transport, rest),
    });
  }

  drain(): void {
    this.acceptor.drain();
    for (const connection of this.#open) connection.drain();
  }

  #route(client: MeshClient, asked: Asked, x: Exchange, head: Head): RequestSink {
    const named = head.find(FieldId.isthmusTarget) >= 0;
    if (!named && head.find(FieldId.isthmusPort) < 0) {
      return this.#probe.serves(head) ? this.#probe : this.#refuse(causes.noSuchTarget);
    }
    return this.#toTarget(client, asked, x, head, readTarget(soleValue(head, FieldId.isthmusTarget)));
  }

  #linkerd(client: MeshClient, header: TransportHeader, transport: Transport, rest: Buffer): void {
    const target = header.name === '' ? undefined : readTarget(`${header.name}:${header.port}`);
    const asked = this.#asked(client);
    const origProto = new OrigProtoServer();
    const route = (x: Exchange, head?: Head): RequestSink => {
      if (head !== undefined) origProto.take(x, head);
      return this.#toTarget(client, asked, x, head, target);
    };
    const { timers } = this.#runtime;
    serveConnection({
      transport,
      rest,
      protocol: header.protocol,
      authority: target ?? '',
      route,
      timers,
      open: this.#open,
    });
  }

  /** @param head undefined: opaque bytes after a transport header */
  #toTarget(
    client: MeshClient,
    asked: Asked,
    x: Exchange,
    head: Head | undefined,
    name: string | undefined,
  ): RequestSink {
    const { config, identity } = this.#runtime;
    const refusal =
      admit(client, name, config.workload, this.#exports.table) ??
      (head === undefined ? undefined : (checkOpaque(x, head) ?? checkLoop(head, identity.spiffeId)));
    if (refusal !== undefined || name === undefined) {
      const cause = refusal ?? causes.noSuchTarget;
      asked.denied(cause, x.opaque);
      return this.#refuse(cause);
    }
    const target = this.#targets.get(name);
    if (target === undefined) return this.#refuse(causes.overloaded);
    x.verdict = asked.allowed(name, x.opaque);
    x.peer = client.peer;
    x.assertedClient = client.peer.spiffeId;
    if (head !== undefined && asked.forwarded !== undefined) {
      // What came in `forwarded` is a claim of the other cluster's app: only what the gateway itself saw goes on.
      head.remove(FieldId.forwarded);
      addField(head, FieldId.forwarded, asked.forwarded.of(head.authority));
    }
    return target.stack;
  }

  #asked(client: MeshClient): Asked {
    const { identity, http } = this.#runtime;
    return new Asked(client, identity.spiffeId, http, this.#authz);
  }

  #refuse(cause: Cause): RequestSink {
    return refuse(cause, this.#runtime.http.errors);
  }
}

function checkLoop(head: Head, gateway: string): Cause | undefined {
  return isLoop(head, gateway) ? causes.gatewayLoop : undefined;
}
