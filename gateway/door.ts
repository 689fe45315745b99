import {
  AuthzMetrics,
  causes,
  checkOpaque,
  FieldId,
  MeshAcceptor,
  OrigProtoServer,
  refuse,
  serveConnection,
  type Cause,
  type Exchange,
  type Head,
  type MeshClient,
  type Observers,
  type RequestSink,
  type Runtime,
  type Targets,
  type Transport,
  type TransportHeader,
} from '../proxy/index.ts';
import { admitClient, admitTarget, claimOf, isLoop, readTarget } from './admission.ts';
import { Asked } from './asked.ts';
import type { ExportWatch } from './exports.ts';
import { Probe } from './probe.ts';

/**
 * The door between clusters. The way of a request, outermost first:
 *
 *   accept mTLS       `MeshAcceptor`: a client without a certificate of the mesh never comes further
 *   read the target   `:isthmus-target`, or the transport header's name
 *   authorise         `admission.ts`, per exported service
 *   forwarded         who asked through which gateway, in place of what the client wrote
 *   outbound layers   `proxy/outbound/target.ts`, within the own cluster
 */
export class Door {
  readonly acceptor: MeshAcceptor;
  readonly #runtime: Runtime;
  readonly #targets: Targets;
  readonly #exports: ExportWatch;
  readonly #probe: Probe;
  readonly #authz: AuthzMetrics;
  readonly #observers: Observers | undefined;
  readonly #open = new Set<{ drain(): void }>();

  constructor(
    runtime: Runtime,
    targets: Targets,
    exports: ExportWatch,
    observers: Observers | undefined,
    unready: () => string | undefined,
  ) {
    this.#runtime = runtime;
    this.#targets = targets;
    this.#exports = exports;
    this.#observers = observers;
    this.#probe = new Probe(unready);
    this.#authz = new AuthzMetrics(runtime.registry);
    this.acceptor = new MeshAcceptor({
      ...runtime,
      handshakeMs: runtime.config.times.handshakeMs,
      maxHandshakes: runtime.config.limits.maxHandshakes,
      claim: (client) => claimOf(client, runtime.config.workload),
      isthmus: (client) => this.route(client),
      linkerd: (client, header, transport, rest) => this.#linkerd(client, header, transport, rest),
    });
  }

  /** Takes no more requests; those under way go on. */
  drain(): void {
    this.acceptor.drain();
    for (const connection of this.#open) connection.drain();
  }

  /** Where the streams of one client's `isthmus/1` connection go. */
  route(client: MeshClient): (x: Exchange, head: Head) => RequestSink {
    const asked = this.#asked(client);
    return (x, head) => this.#route(client, asked, x, head);
  }

  #route(client: MeshClient, asked: Asked, x: Exchange, head: Head): RequestSink {
    const named = head.find(FieldId.isthmusTarget) >= 0;
    if (!named && head.find(FieldId.isthmusPort) < 0) {
      return this.#probe.serves(head) ? this.#probe : this.#refuse(causes.noSuchTarget);
    }
    return this.#toTarget(client, asked, x, head, asked.names.of(head));
  }

  #linkerd(client: MeshClient, header: TransportHeader, transport: Transport, rest: Buffer): void {
    const target = header.name === '' ? undefined : readTarget(`${header.name}:${header.port}`);
    const asked = this.#asked(client);
    const origProto = new OrigProtoServer();
    const route = (x: Exchange, head?: Head): RequestSink => {
      if (head !== undefined) origProto.take(x, head);
      return this.#toTarget(client, asked, x, head, target);
    };
    const { timers, http } = this.#runtime;
    serveConnection({
      transport,
      rest,
      protocol: header.protocol,
      authority: target ?? '',
      route,
      timers,
      http,
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
    const { identity } = this.#runtime;
    const refusal =
      asked.refusal ??
      admitTarget(name, this.#exports.table) ??
      (head === undefined ? undefined : (checkOpaque(x, head) ?? checkLoop(head, identity.spiffeId)));
    if (refusal !== undefined || name === undefined) {
      const cause = refusal ?? causes.noSuchTarget;
      asked.denied(cause, x);
      if (head !== undefined && !x.opaque) this.#observers?.refused(asked.requester, x, head, cause);
      return this.#refuse(cause);
    }
    const target = this.#targets.get(name);
    if (target === undefined) return this.#refuse(causes.overloaded);
    x.verdict = asked.allowed(name, x.opaque);
    x.peer = asked.requester;
    x.assertedClient = client.peer.spiffeId;
    if (head !== undefined && asked.forwarded !== undefined) {
      // What came in `forwarded` is a claim of the other cluster's app: only what the gateway itself saw goes on.
      head.remove(FieldId.forwarded);
      head.addLasting(FieldId.forwarded, asked.forwarded.of(head.authority));
    }
    return target.stack;
  }

  #asked(client: MeshClient): Asked {
    const { config, identity, http } = this.#runtime;
    const refusal = admitClient(client, config.workload);
    return new Asked(client, refusal, identity.spiffeId, http, this.#authz);
  }

  #refuse(cause: Cause): RequestSink {
    return refuse(cause, this.#runtime.http.inboundErrors);
  }
}

function checkLoop(head: Head, gateway: string): Cause | undefined {
  return isLoop(head, gateway) ? causes.gatewayLoop : undefined;
}
