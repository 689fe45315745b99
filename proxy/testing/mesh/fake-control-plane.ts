import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WeightedAddrSchema } from '../../../api/proto/gen/linkerd/destination_pb.js';
import type { Server } from '../../../api/proto/gen/linkerd/inbound_pb.js';
import type { OutboundPolicy } from '../../../api/proto/gen/linkerd/outbound_pb.js';
import type { TcpAddress } from '../../../api/proto/gen/linkerd/net_pb.js';
import { methods } from '../../../api/proto/methods.ts';
import {
  GrpcError,
  grpcStatus,
  type Channel,
  type GrpcCode,
  type StreamHandlers,
} from '../../../workload-identity/index.ts';

/** One endpoint as a test describes it. */
export interface FakeEndpoint {
  address: string;
  port: number;
  /** Port of the peer's proxy. */
  inboundPort?: number;
  spiffeId?: string;
  /** Alone: an identity of Linkerd's kind. */
  dnsName?: string;
  authorityOverride?: string;
  /** Linkerd's hint that its proxy takes HTTP/1.1 in HTTP/2. */
  http2?: boolean;
  labels?: Record<string, string>;
}

export interface FakeExport {
  namespace: string;
  name: string;
  ports: number[];
  mirror?: boolean;
}

interface Service {
  endpoints: FakeEndpoint[];
  opaque: boolean;
}

interface Stream {
  kind: 'profile' | 'get' | 'policy' | 'outbound' | 'exports';
  path: string;
  handlers: StreamHandlers<never>;
  cancelled: boolean;
  sent: FakeEndpoint[];
}

/** Destination, policies and exports of one cluster, as a test wants them. Proxies speak to it through a `Channel` in the same process. */
export class FakeControlPlane {
  readonly #unnamed: Server | undefined;
  readonly #services = new Map<string, Service>();
  readonly #policies = new Map<number, Server>();
  readonly #outbound = new Map<string, OutboundPolicy>();
  #exports: FakeExport[] = [];
  #streams = new Set<Stream>();
  #alive = true;
  #hangs = false;
  #connecting: (() => void)[] = [];
  #told: { path: string; resolve: () => void }[] = [];

  /** @param ports without a policy that a test has set: everybody may use them, or nothing is said of them */
  constructor(ports: 'open' | 'untold' = 'open') {
    this.#unnamed = ports === 'open' ? OPEN_POLICY : undefined;
  }

  /** Resolves when somebody has next been told the endpoints of a name. */
  untilTold(path: string): Promise<void> {
    return new Promise((resolve) => this.#told.push({ path, resolve }));
  }

  /** Resolves when a channel has been told to connect: each channel for one of those who wait. */
  untilConnecting(): Promise<void> {
    return new Promise((resolve) => this.#connecting.push(resolve));
  }

  /** Streams that are open. */
  get streams(): number {
    return this.#streams.size;
  }

  /** What is known of `name:port`; replaces what was known, and tells the difference. */
  setService(authority: string, endpoints: FakeEndpoint[], options: { opaque?: boolean } = {}): void {
    this.#services.set(authority, { endpoints, opaque: options.opaque ?? false });
    for (const stream of this.#streams) {
      if (stream.path !== authority) continue;
      if (stream.kind === 'profile') this.#sendProfile(stream);
      if (stream.kind === 'get') this.#sendEndpoints(stream);
    }
  }

  setExports(exports: FakeExport[]): void {
    this.#exports = exports;
    for (const stream of this.#streams) if (stream.kind === 'exports') this.#sendExports(stream);
  }

  /** Policy of a port of every pod. */
  setPolicy(port: number, server: Server): void {
    this.#policies.set(port, server);
    for (const stream of this.#streams) {
      if (stream.kind === 'policy' && stream.path === String(port)) send(stream, server);
    }
  }

  /** Policy of clients towards a target; without one, that there is nothing particular. */
  setOutbound(authority: string, policy: OutboundPolicy): void {
    this.#outbound.set(authority, policy);
    for (const stream of this.#streams) {
      if (stream.kind === 'outbound' && stream.path === authority) send(stream, policy);
    }
  }

  /** All streams break, and no new one comes to anything until `revive`. */
  kill(): void {
    this.#alive = false;
    const streams = this.#streams;
    this.#streams = new Set();
    for (const stream of streams) end(stream, grpcStatus.unavailable);
  }

  /** New streams get no answer. */
  hang(): void {
    this.#hangs = true;
  }

  revive(): void {
    this.#alive = true;
    this.#hangs = false;
  }

  channel(): Channel {
    return {
      unary: () => Promise.reject(new GrpcError(grpcStatus.unimplemented, 'the fake only streams')),
      bidiStream: () => {
        throw new Error('the fake has no streams in both directions');
      },
      connect: () => {
        this.#connecting.shift()?.();
      },
      close: () => {},
      serverStream: (method, message, handlers) => {
        const stream: Stream = {
          kind: kindOf(method.path),
          path: pathOf(message),
          handlers,
          cancelled: false,
          sent: [],
        };
        // As over a network: never an answer within the call.
        setImmediate(() => this.#open(stream));
        return {
          cancel: () => {
            stream.cancelled = true;
            this.#streams.delete(stream);
          },
        };
      },
    };
  }

  #open(stream: Stream): void {
    if (this.#hangs || stream.cancelled) return;
    if (!this.#alive) return end(stream, grpcStatus.unavailable);
    this.#streams.add(stream);
    if (stream.kind === 'profile') this.#sendProfile(stream);
    else if (stream.kind === 'get') this.#sendEndpoints(stream);
    else if (stream.kind === 'exports') this.#sendExports(stream);
    else if (stream.kind === 'outbound') send(stream, this.#outbound.get(stream.path) ?? NO_POLICY);
    else {
      const policy = this.#policies.get(Number(stream.path)) ?? this.#unnamed;
      if (policy !== undefined) send(stream, policy);
    }
  }

  #sendProfile(stream: Stream): void {
    const service = this.#services.get(stream.path);
    if (service === undefined) {
      this.#streams.delete(stream);
      return end(stream, grpcStatus.invalidArgument);
    }
    const fullyQualifiedName = stream.path.replace(/:\d+$/, '');
    send(stream, methods.getProfile.answer({ fullyQualifiedName, opaqueProtocol: service.opaque }));
  }

  #sendEndpoints(stream: Stream): void {
    const wanted = this.#services.get(stream.path)?.endpoints ?? [];
    // What is only told anew is never removed: its connections stay.
    const kept = new Set(wanted.map(({ address, port }) => `${address} ${port}`));
    const removed = stream.sent.filter(({ address, port }) => !kept.has(`${address} ${port}`));
    const added = wanted.filter((one) => !stream.sent.includes(one));
    const isFirst = stream.sent.length === 0 && added.length === 0;
    stream.sent = wanted;
    if (isFirst) {
      send(stream, methods.getEndpoints.answer({ update: { case: 'noEndpoints', value: { exists: true } } }));
    }
    if (removed.length > 0) {
      const addrs = removed.map(({ address, port }) => tcp(address, port));
      send(stream, methods.getEndpoints.answer({ update: { case: 'remove', value: { addrs } } }));
    }
    if (added.length > 0) {
      const addrs = added.map(weighted);
      send(stream, methods.getEndpoints.answer({ update: { case: 'add', value: { addrs } } }));
    }
    this.#tell(stream.path);
  }

  #tell(path: string): void {
    const told = this.#told.filter((one) => one.path === path);
    this.#told = this.#told.filter((one) => one.path !== path);
    for (const { resolve } of told) resolve();
  }

  #sendExports(stream: Stream): void {
    send(stream, methods.watchExports.answer({ services: this.#exports }));
  }
}

function kindOf(path: string): Stream['kind'] {
  if (path === methods.getProfile.path) return 'profile';
  if (path === methods.getEndpoints.path) return 'get';
  if (path === methods.watchPort.path) return 'policy';
  if (path === methods.watchOutbound.path) return 'outbound';
  if (path === methods.watchExports.path) return 'exports';
  throw new Error(`the fake control plane has no ${path}`);
}

function pathOf(message: object): string {
  if ('path' in message) return String(message.path);
  if ('target' in message) return authorityOf(message.target);
  return 'port' in message ? String(message.port) : '';
}

/** What a client names as its target in TrafficSpec. */
function authorityOf(target: unknown): string {
  return typeof target === 'object' && target !== null && 'value' in target ? String(target.value) : '';
}

const NO_POLICY = methods.watchOutbound.answer({});

function send(stream: Stream, message: object): void {
  stream.handlers.message(message as never);
}

function end(stream: Stream, code: GrpcCode): void {
  stream.handlers.end(new GrpcError(code, 'said by the fake control plane'));
}

function weighted(one: FakeEndpoint): MessageInitShape<typeof WeightedAddrSchema> {
  const { address, port, inboundPort, spiffeId, dnsName, authorityOverride, http2, labels = {} } = one;
  return {
    addr: tcp(address, port),
    weight: 10_000,
    metricLabels: labels,
    protocolHint: {
      ...(inboundPort === undefined ? {} : { opaqueTransport: { inboundPort } }),
      ...(http2 === true ? { protocol: { case: 'h2', value: {} } } : {}),
    },
    ...(authorityOverride === undefined ? {} : { authorityOverride: { authorityOverride } }),
    ...tlsIdentity(spiffeId, dnsName),
  };
}

function tlsIdentity(spiffeId: string | undefined, dnsName: string | undefined) {
  if (spiffeId !== undefined) {
    return {
      tlsIdentity: {
        strategy: { case: 'uriLikeIdentity' as const, value: { uri: spiffeId } },
        ...(dnsName === undefined ? {} : { serverName: { name: dnsName } }),
      },
    };
  }
  if (dnsName === undefined) return {};
  return { tlsIdentity: { strategy: { case: 'dnsLikeIdentity' as const, value: { name: dnsName } } } };
}

function tcp(
  address: string,
  port: number,
): Pick<TcpAddress, 'port'> & { ip: { ip: { case: 'ipv4'; value: number } } } {
  const value = address.split('.').reduce((n, part) => n * 256 + Number(part), 0);
  return { port, ip: { ip: { case: 'ipv4', value } } };
}

/** What is told of ports that no test has set a policy for: everybody may. */
export const OPEN_POLICY = methods.watchPort.answer({
  protocol: { kind: { case: 'detect', value: {} } },
  authorizations: [{ authentication: { permit: { case: 'unauthenticated', value: {} } } }],
});

/** Of a port that may be closed, in a pod that the control plane does not see yet. */
export const UNSEEN_POLICY = methods.watchPort.answer({
  protocol: { kind: { case: 'detect', value: {} } },
  labels: { group: '', kind: 'default', name: 'deny' },
});

/** A policy that a test sets: exactly the given identities, or nobody. */
export function identitiesPolicy(names: string[]): Server {
  return methods.watchPort.answer({
    protocol: { kind: { case: 'detect', value: {} } },
    authorizations: [
      {
        authentication: {
          permit: {
            case: 'meshTLS',
            value: {
              clients: { case: 'identities', value: { identities: names.map((name) => ({ name })) } },
            },
          },
        },
        labels: { name: 'test' },
      },
    ],
    labels: { name: 'test' },
  });
}
