import { port as wellKnown } from '../../api/names.ts';
import type { PeerIdentity, WorkloadNames } from '../../workload-identity/index.ts';
import type { ProxyPorts } from '../config.ts';
import type { InboundPolicies } from '../control/inbound-policies.ts';
import { parseDecimal } from '../bytes/characters.ts';
import { causes, type Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { InFlight } from '../in-flight.ts';
import { LimitsLayer } from '../route/limits-layer.ts';
import { defaultRoute } from '../route/outbound-rules.ts';
import type { Subject } from '../policy/inbound-policy.ts';
import type { HttpCells, HttpMetrics } from '../telemetry/http-metrics.ts';
import type { Observers } from '../telemetry/observers.ts';
import { targetLabels } from '../telemetry/target-labels.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import type { TransportHeader } from '../detect/transport-header.ts';
import { checkOpaque } from '../upstream/check-opaque.ts';
import { soleValue } from '../upstream/fields.ts';
import { OrigProtoServer } from '../upstream/orig-proto.ts';
import { refuse } from '../upstream/refuse.ts';
import { TelemetryLayer } from '../upstream/telemetry-layer.ts';
import type { Apps } from './apps.ts';
import { Authorizer, Decided, type AuthzMetrics } from './authorize.ts';
import { believedClient, clientName, isOwnGateway } from './client-identity.ts';
import { Forward } from './forward.ts';
import { IdentityFieldsLayer } from './identity-fields.ts';
import type { MeshClient } from './mesh-acceptor.ts';
import { serveConnection } from './serve-connection.ts';

export interface InboundOptions {
  own: WorkloadNames;
  podIp: string;
  /** The proxy's own: nobody reaches them through it. */
  ports: ProxyPorts;
  policies: InboundPolicies;
  apps: Apps;
  http: HttpMetrics;
  authz: AuthzMetrics;
  timers: TimerWheel;
  /** Fine enough for tens of ms. */
  deadlines: TimerWheel;
  inFlight: InFlight;
  /** Undefined: nobody follows single requests. */
  observers: Observers | undefined;
  /** ms, monotonic. */
  now: () => number;
}

/** Who is at the other end of a connection, as far as it has proved that. */
export interface InboundClient {
  /** Undefined: it has proved nothing. */
  readonly peer: PeerIdentity | undefined;
  readonly address: string;
  /** Of the connection's other end. */
  readonly port: number;
}

/** An app of this pod. */
export interface LocalPort {
  /** The pod's address that it is reached at. */
  readonly podIp: string;
  readonly port: number;
  readonly apps: Apps;
}

/** Stacks kept for one connection: a gateway's connection carries many clients to many ports. */
const MAX_STACKS = 256;

/**
 * The inbound side: what peers ask of this pod's apps. The way of a request, outermost first:
 *
 *   accept, TLS, peer    `mesh-acceptor.ts`: who is it, and what does it speak; before it, where connections are
 *                        redirected, `redirected-acceptor.ts`: to which port
 *   codec                `http2/connection.ts`, or by a transport header `http1/…`, `transport/opaque.ts`
 *   route                this file: which port, and for whom (is the assertion believed?)
 *   telemetry            counts also what is denied
 *   identity fields      what the app is told
 *   limits               the deadline that came with the request
 *   authorize, forward   by request, by the policy as it is now; then the app's connection. Innermost, for a request may
 *                        have to wait for the policy, and what waits is kept by the layer that sends
 */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #connections = new Set<{ drain(): void }>();

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** Routes the streams of one `isthmus/1` connection. */
  isthmus(client: MeshClient): (x: Exchange, head: Head) => RequestSink {
    const { own, http, podIp, ports, apps } = this.#options;
    const stacks = new Stacks((port, asserted) => this.#stack(client, { podIp, port, apps }, asserted));
    return (x, head) => {
      const port = readPort(head, ports);
      if (typeof port !== 'number') return refuse(port, http.inboundErrors);
      const refusal = checkOpaque(x, head);
      if (refusal !== undefined) return refuse(refusal, http.inboundErrors);
      x.assertedClient = believedClient(soleValue(head, FieldId.isthmusClient), client.peer, own);
      return stacks.get(port, x.assertedClient);
    };
  }

  /** Serves a connection of `transport.l5d.io/v1`. A sidecar is no gateway: a header with a name is refused. */
  linkerd(client: MeshClient, header: TransportHeader, transport: Transport, rest: Buffer): void {
    const { http, ports } = this.#options;
    const port = header.name === '' ? checkPort(header.port, ports) : causes.noSuchTarget;
    if (typeof port !== 'number') {
      http.inboundErrors.cell({ error: port.code }).add();
      transport.destroy();
      return;
    }
    const { podIp, apps } = this.#options;
    this.connection(client, { podIp, port, apps }, header.protocol, transport, rest);
  }

  /** Serves a connection that is all for one app. `protocol`: undefined is opaque. `rest`: bytes that were read before. */
  connection(
    client: InboundClient,
    at: LocalPort,
    protocol: TransportHeader['protocol'],
    transport: Transport,
    rest: Buffer,
  ): void {
    const { http } = this.#options;
    const stack = this.#stack(client, at, undefined);
    const origProto = new OrigProtoServer();
    const route = (x: Exchange, head?: Head): RequestSink => {
      if (head === undefined) return stack;
      origProto.take(x, head);
      const refusal = checkOpaque(x, head);
      return refusal === undefined ? stack : refuse(refusal, http.inboundErrors);
    };
    const { timers } = this.#options;
    serveConnection({
      transport,
      rest,
      protocol,
      authority: at.podIp,
      route,
      timers,
      http,
      open: this.#connections,
    });
  }

  /** Lets connections end when what is under way on them has ended. */
  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }

  #stack(client: InboundClient, at: LocalPort, asserted: string | undefined): TelemetryLayer {
    const { own, policies, http, authz, now } = this.#options;
    const { podIp, port, apps } = at;
    const { peer, address } = client;
    const name = asserted ?? (peer === undefined ? '' : clientName(peer, own));
    // Metrics show the SPIFFE ID, which names the cluster.
    const labels = {
      direction: 'inbound',
      ...targetLabels(podIp, port),
      ...(peer === undefined ? NO_TLS : { tls: 'true', client_id: asserted ?? peer.spiffeId ?? name }),
    };
    const subject: Subject = {
      address,
      authenticated: peer !== undefined,
      identity: name,
      spiffeId: asserted ?? peer?.spiffeId ?? '',
    };
    const authorizer = new Authorizer(policies.port(port), subject, authz, http, labels);
    const { inFlight, timers, deadlines, observers } = this.#options;
    const forward = new Forward(apps, port, authorizer, inFlight, timers);
    const limits = new LimitsLayer(forward, { route: () => NO_LIMITS, timers: deadlines, now });
    const fields = new IdentityFieldsLayer(limits, name, peer !== undefined && isOwnGateway(peer, own));
    let undecided: HttpCells | undefined;
    return new TelemetryLayer(fields, {
      errors: http.inboundErrors,
      now,
      went: (x) => (x.verdict instanceof Decided ? x.verdict.cells : undefined),
      unplaced: () => (undecided ??= http.cells(labels)),
      routed: (x) => (x.verdict instanceof Decided ? x.verdict.route : undefined),
      observer: observers?.inbound({ address, port: client.port, name }, peer !== undefined),
      onStart: () => inFlight.active++,
      onEnd: () => inFlight.active--,
    });
  }
}

/** The inbound side has no limits of its own. */
const NO_LIMITS = defaultRoute();

/** As Linkerd's proxy labels a plaintext client. */
export const NO_TLS = { tls: 'no_identity', no_tls_reason: 'no_tls_from_remote' } as const;

/** The port of an app in this pod that a head names; a cause when it names none, or one that is not to be had. */
function readPort(head: Head, own: ProxyPorts): number | Cause {
  const i = head.find(FieldId.isthmusPort);
  const value = head.valueBuffer[i];
  const start = head.valueStart[i] ?? 0;
  const end = head.valueEnd[i] ?? 0;
  if (value === undefined || start === end || head.find(FieldId.isthmusPort, i + 1) >= 0)
    return causes.noSuchTarget;
  // One way to write a number: no zeros before it.
  return value[start] === ZERO ? causes.badRequest : checkPort(parseDecimal(value, start, end), own);
}

const ZERO = 48;

function checkPort(port: number, own: ProxyPorts): number | Cause {
  if (port < 1 || port > 65_535) return causes.badRequest;
  return isOwnPort(port, own) ? causes.ownPort : port;
}

/** A port where this proxy itself listens. */
export function isOwnPort(port: number, { inbound, outbound, admin }: ProxyPorts): boolean {
  return port === inbound || port === outbound || port === admin || port === wellKnown.tap;
}

/** The stacks of one connection, by port and believed client. */
class Stacks {
  readonly #make: (port: number, asserted: string | undefined) => RequestSink;
  readonly #direct = new Map<number, RequestSink>();
  readonly #asserted = new Map<string, RequestSink>();

  constructor(make: (port: number, asserted: string | undefined) => RequestSink) {
    this.#make = make;
  }

  get(port: number, asserted: string | undefined): RequestSink {
    return asserted === undefined
      ? this.#find(this.#direct, port, port, asserted)
      : this.#find(this.#asserted, `${port} ${asserted}`, port, asserted);
  }

  #find<K>(stacks: Map<K, RequestSink>, key: K, port: number, asserted: string | undefined): RequestSink {
    const known = stacks.get(key);
    if (known !== undefined) return known;
    // Requests under way keep their own stack.
    if (stacks.size >= MAX_STACKS) stacks.clear();
    const made = this.#make(port, asserted);
    stacks.set(key, made);
    return made;
  }
}
